// However an answer is cut, the pieces add up to the same, and to what it says as a whole.
#include "text/tool_outputs.h"

#include <gtest/gtest.h>

namespace lmdeploy::testing {
namespace {

class Reader {
 public:
  explicit Reader(std::string_view format)
      : parser_({.format = &get_tool_format(format), .names = {"add", "mul"}}) {}

  void feed(std::string_view text) { output_.add(parser_.feed(text)); }
  ParsedOutput finish() {
    output_.add(parser_.finish());
    output_.all_whole = parser_.all_whole();
    return output_;
  }

 private:
  ToolCallParser parser_;
  ParsedOutput output_;
};

TEST(ToolOutputs, are_many_and_of_every_kind) {
  int num_whole = 0, num_broken = 0, num_without = 0;
  for (const ToolOutput& output : tool_outputs()) {
    Reader reader(output.format);
    reader.feed(output.text);
    const ParsedOutput parsed = reader.finish();
    ++(parsed.calls.empty() ? num_without : parsed.all_whole ? num_whole : num_broken);
  }
  EXPECT_GE(tool_outputs().size(), 300U);
  EXPECT_GE(num_whole, 60);
  EXPECT_GE(num_broken, 30);
  EXPECT_GE(num_without, 60);
}

TEST(ToolOutputs, are_the_same_cut_at_every_byte) {
  for (const ToolOutput& output : tool_outputs()) {
    const std::string_view text = output.text;
    Reader whole(output.format), bytes(output.format);
    whole.feed(text);
    const ParsedOutput expected = whole.finish();
    for (const char byte : text) bytes.feed({&byte, 1});
    ASSERT_EQ(bytes.finish(), expected) << output.format << ": " << text;
    for (std::size_t cut = 1; cut < text.size(); ++cut) {
      Reader halves(output.format);
      halves.feed(text.substr(0, cut));
      halves.feed(text.substr(cut));
      ASSERT_EQ(halves.finish(), expected) << output.format << " cut at " << cut << ": " << text;
    }
  }
}

}  // namespace
}  // namespace lmdeploy::testing
