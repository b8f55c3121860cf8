#include "text/json_scanner.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

namespace lmdeploy {
namespace {

using Status = JsonScanner::Status;

// Whether the scanner takes the whole text as one value; a number needs something behind it to end.
bool takes(std::string text) {
  JsonScanner scanner;
  text += '\n';
  for (std::size_t i = 0; i < text.size(); ++i) {
    const Status status = scanner.feed(text[i]);
    if (status == Status::bad) return false;
    if (status == Status::done) return i + 2 == text.size();
    if (status == Status::done_before) return i + 1 == text.size();
  }
  return false;
}

TEST(JsonScanner, takes_what_nlohmann_takes) {
  for (const std::string text : {"{}",         "[]",          "0",
                                 "-0",         "10",          "01",
                                 "-",          "1.",          "1.5",
                                 ".5",         "1e5",         "1e",
                                 "1E+05",      "1e-",         "true",
                                 "tru",        "nul",         "null",
                                 "false",      R"("")",       R"("a\n\u00e9\\")",
                                 R"("\x")",    R"("\u00g0")", "\"\t\"",
                                 R"({"a":1})", R"({"a":1,})", R"({"a" : [1, {"b": null}], "c":"d"})",
                                 R"([1,])",    R"([1 2])",    R"({1:2})",
                                 R"({"a"})",   R"({"a":})",   "[[]]",
                                 "[{}]",       "{]",          "[}",
                                 R"(["\"]"])", R"({"a":1}})", "+1",
                                 "'a'",        "\"é\"",       R"({,})"})
    EXPECT_EQ(takes(text), nlohmann::json::accept(text)) << text;
}

TEST(JsonScanner, a_number_ends_where_another_byte_begins) {
  JsonScanner scanner;
  EXPECT_EQ(scanner.feed('1'), Status::more);
  EXPECT_EQ(scanner.feed('}'), Status::done_before);
}

TEST(JsonScanner, depth_is_limited) {
  EXPECT_TRUE(takes(std::string(JsonScanner::kMaxDepth, '[') + std::string(JsonScanner::kMaxDepth, ']')));
  EXPECT_FALSE(
      takes(std::string(JsonScanner::kMaxDepth + 1, '[') + std::string(JsonScanner::kMaxDepth + 1, ']')));
}

}  // namespace
}  // namespace lmdeploy
