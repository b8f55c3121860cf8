#include "dataset/json_lines.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <vector>

#include "base/error.h"

namespace lmdeploy {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string gzip(const std::string& text) {
  z_stream state{};
  deflateInit2(&state, Z_BEST_SPEED, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY);
  std::string packed(deflateBound(&state, text.size()), '\0');
  state.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  state.avail_in = static_cast<uInt>(text.size());
  state.next_out = reinterpret_cast<Bytef*>(packed.data());
  state.avail_out = static_cast<uInt>(packed.size());
  EXPECT_EQ(deflate(&state, Z_FINISH), Z_STREAM_END);
  packed.resize(state.total_out);
  deflateEnd(&state);
  return packed;
}

std::vector<std::string> rows_of(const std::string& lines) {
  const std::string packed = gzip(lines);
  std::vector<std::string> rows;
  read_json_lines(*open_gzip(packed), "text", [&](std::string_view row) {
    rows.emplace_back(row);
    return true;
  });
  return rows;
}

std::string failure(const std::string& lines) {
  try {
    rows_of(lines);
  } catch (const Error& error) {
    return error.what();
  }
  return "it did not fail";
}

TEST(JsonLines, EmptyLinesAndALastOneWithoutItsEnd) {
  EXPECT_THAT(
      rows_of(
          "{\"text\": \"a\"}\r\n\n{\"x\": [[1], {\"text\": 2}], \"text\": \"\\u00e9\"}\n \n{\"text\": \"\"}"),
      ElementsAre("a", "é", ""));
  EXPECT_TRUE(rows_of("").empty());
}

TEST(JsonLines, LongTextsComeInSeveralPieces) {
  const std::string row(300'000, 'x');
  EXPECT_THAT(rows_of("{\"text\": \"" + row + "\"}\n{\"text\": \"y\"}\n"), ElementsAre(row, "y"));
}

TEST(JsonLines, WhatIsNoSuchLineIsSaidWithItsNumber) {
  EXPECT_THAT(failure("{\"text\": \"a\"}\nnonsense\n"), HasSubstr("line 2 is no JSON object"));
  EXPECT_THAT(failure("[\"text\"]\n"), HasSubstr("line 1 is no JSON object"));
  EXPECT_THAT(failure("{\"content\": \"a\"}\n"), HasSubstr("no text under 'text'"));
  EXPECT_THAT(failure("{\"text\": 1}\n"), HasSubstr("no text under 'text'"));
  EXPECT_THAT(failure("{\"text\": \"\xff\"}\n"), HasSubstr("line 1"));
  EXPECT_THAT(failure(std::string(100'000, '[') + "\n"), HasSubstr("line 1"));
}

TEST(JsonLines, MemoryHasBounds) {
  EXPECT_THAT(failure(std::string(17 << 20, ' ')), HasSubstr("longer than 16 MiB"));
  std::string blank_lines;
  while (blank_lines.size() < 65 << 20) blank_lines += std::string(4095, ' ') + "\n";
  EXPECT_TRUE(rows_of(blank_lines + "nonsense\n").empty());
}

TEST(JsonLines, StopsWhenNoMoreIsWanted) {
  const std::string packed = gzip("{\"text\": \"a\"}\nnonsense\n");
  int num_rows = 0;
  read_json_lines(*open_gzip(packed), "text", [&](std::string_view) { return ++num_rows < 1; });
  EXPECT_EQ(num_rows, 1);
}

}  // namespace
}  // namespace lmdeploy
