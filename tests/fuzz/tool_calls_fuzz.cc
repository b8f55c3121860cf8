// What a model says, in pieces and as a whole: the same reasoning, content and calls, whatever the text, and
// nothing thrown.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "text/reasoning.h"
#include "text/tool_calls.h"

namespace {

using namespace lmdeploy;

struct Parsed {
  std::string reasoning, content, calls;

  void add(const ToolCallParser::Pieces& pieces) {
    content += pieces.content;
    for (const ToolCallDelta& delta : pieces.calls)
      calls += (delta.name.empty() ? "" : "\n" + delta.name + "(") + delta.arguments;
  }
  bool operator==(const Parsed&) const = default;
};

Parsed parse(std::uint8_t options, std::string_view text, std::size_t piece_len) {
  const ToolFormat& format = tool_formats()[options % tool_formats().size()];
  ToolCallOptions call_options{.format = &format, .names = {"add", "mul"}};
  if ((options & 16) != 0) call_options.hidden = {std::string(format.begin)};
  call_options.only_one = (options & 32) != 0;
  ReasoningSplitter splitter((options & 64) != 0 ? ReasoningStart::open : ReasoningStart::undecided);
  ToolCallParser parser(call_options);
  Parsed parsed;
  const auto add = [&](const ReasoningSplitter::Pieces& pieces) {
    parsed.reasoning += pieces.reasoning;
    parsed.add(parser.feed(pieces.rest));
  };
  for (std::size_t begin = 0; begin < text.size(); begin += piece_len)
    add(splitter.feed(text.substr(begin, piece_len)));
  add(splitter.finish());
  parsed.add(parser.finish());
  return parsed;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 2, size - 2);
  const Parsed whole = parse(data[0], text, text.size() + 1);
  CHECK(whole == parse(data[0], text, data[1] % 16 + 1));
  return 0;
}
