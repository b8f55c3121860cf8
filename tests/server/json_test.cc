#include "server/json.h"

#include <gtest/gtest.h>

#include "server/api_error.h"

namespace lmdeploy {
namespace {

// The message with which the text is refused, "" where it is taken.
std::string refusal(std::string_view text) {
  try {
    parse_json(text);
  } catch (const ApiError& e) {
    EXPECT_EQ(e.status(), 400);
    return e.problem();
  }
  return "";
}

TEST(ParseJson, keeps_values_and_the_order_of_keys) {
  const std::string text =
      R"({"b":[1,-2,1.5,"x",true,null,{"z":{},"a":[]}],"a":{"k":"v"},"u":18446744073709551615})";
  EXPECT_EQ(parse_json(text).dump(), text);
  EXPECT_EQ(parse_json("3").dump(), "3");
  EXPECT_EQ(parse_json(R"("é\u0000\ud83d\ude00")").get<std::string>(), std::string("é\0😀", 7));
}

TEST(ParseJson, refuses_what_is_not_json) {
  for (const char* text : {"", " ", "{", "{}x", "{\"a\":}", "[1,]", "nul", "NaN", "[Infinity]", "[-]", "[01]",
                           "[1e400]", "[-1e400]", "'a'", "{a:1}", "// c\n1", "\xef\xbb", "[\"a\nb\"]"})
    EXPECT_NE(refusal(text), "") << text;
}

TEST(ParseJson, refuses_bad_utf8_and_lone_surrogates) {
  for (const char* text : {"\"\xff\"", "\"\xc0\xaf\"", "\"\xed\xa0\x80\"", "\"\xf5\x80\x80\x80\"", "\"\xc3\"",
                           "\"\\ud800\"", "\"\\udc00\"", "\"\\ud800\\u0041\"", "{\"\xff\":1}"})
    EXPECT_NE(refusal(text), "") << text;
}

TEST(ParseJson, refuses_a_key_that_is_given_twice) {
  EXPECT_EQ(refusal(R"({"a":1,"b":2,"a":3})"), "the key \"a\" is given twice");
  EXPECT_EQ(refusal(R"({"x":[{"a":1,"a":1}]})"), "the key \"a\" is given twice");
  EXPECT_EQ(refusal(R"({"x":{"a":1},"a":1})"), "");
}

TEST(ParseJson, bounds_depth_and_keys) {
  EXPECT_EQ(refusal(std::string(kMaxJsonDepth, '[') + std::string(kMaxJsonDepth, ']')), "");
  EXPECT_NE(refusal(std::string(kMaxJsonDepth + 1, '[') + std::string(kMaxJsonDepth + 1, ']')), "");
  EXPECT_NE(refusal(std::string(100'000, '[')), "");
  std::string nested;
  for (int i = 0; i < 100'000; ++i) nested += "{\"a\":";
  EXPECT_NE(refusal(nested), "");
  std::string wide = "{";
  for (std::size_t i = 0; i <= kMaxJsonObjectKeys; ++i) wide += "\"" + std::to_string(i) + "\":0,";
  EXPECT_NE(refusal(wide + "\"end\":0}"), "");
}

TEST(ToInteger, takes_only_exact_integers) {
  EXPECT_EQ(to_integer(parse_json("16")), 16);
  EXPECT_EQ(to_integer(parse_json("16.0")), 16);
  EXPECT_EQ(to_integer(parse_json("1e3")), 1000);
  EXPECT_EQ(to_integer(parse_json("-9223372036854775808")), std::numeric_limits<std::int64_t>::min());
  for (const char* text :
       {"1.5", "9223372036854775808", "18446744073709551616", "1e300", "\"1\"", "true", "null", "[1]"})
    EXPECT_EQ(to_integer(parse_json(text)), std::nullopt) << text;
}

TEST(JsonFields, names_path_expectation_and_finding) {
  const Json json = parse_json(R"({"a":"hot","n":null,"list":[1,2]})");
  JsonFields fields(json, "options");
  try {
    fields.number("a", 0, 2);
    FAIL();
  } catch (const ApiError& e) {
    EXPECT_EQ(e.problem(), "options.a: expected a number from 0 to 2, found \"hot\" (string)");
    EXPECT_EQ(parse_json(e.body())["error"]["param"], "options.a");
  }
  EXPECT_EQ(fields.integer("n"), std::nullopt);
  EXPECT_THROW(fields.refuse_unknown(), ApiError);
  fields.any("list");
  fields.refuse_unknown();
}

TEST(Describe, cuts_long_values) {
  EXPECT_EQ(describe(Json("x")), "\"x\" (string)");
  EXPECT_EQ(describe(Json::array({1, 2})), "a list of 2");
  EXPECT_LT(describe(Json(std::string(1'000'000, 'x'))).size(), 100U);
}

}  // namespace
}  // namespace lmdeploy
