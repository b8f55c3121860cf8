#include "checkpoint/gguf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "checkpoint/foreign_bytes.h"

namespace lmdeploy {
namespace {

using ::testing::AllOf;
using testing::append;
using ::testing::ElementsAre;
using testing::error_of;
using testing::gguf_string;
using testing::GgufBuilder;
using ::testing::HasSubstr;

constexpr std::uint32_t kF32 = 0;
constexpr std::uint32_t kQ8_0 = 8;
constexpr std::uint32_t kArray = 9;

GgufHeader parse(const std::string& file) {
  return parse_gguf(std::as_bytes(std::span(file)), "model.gguf");
}

std::string problem_of(const std::string& file) {
  return error_of([&] { parse(file); });
}

std::string list(std::uint32_t type, std::uint64_t count, const std::string& items) {
  std::string bytes;
  append(bytes, type);
  append(bytes, count);
  return bytes + items;
}

TEST(Gguf, ReadsMetadataAndTensors) {
  GgufBuilder builder;
  builder.add("general.architecture", std::string("llama"))
      .add("count", 7U)
      .add("eps", 1e-5F)
      .add_raw("flag", 7, std::string(1, '\1'))
      .add_raw("small", 1, std::string(1, '\xff'))
      .add_raw("names", kArray, list(8, 2, gguf_string("a") + gguf_string("")))
      .add_raw("types", kArray, list(5, 2, std::string("\1\0\0\0\xfe\xff\xff\xff", 8)))
      .add_tensor("w", {64, 2}, kQ8_0, 0)
      .add_tensor("v", {3}, kF32, 160);
  const GgufHeader header = parse(builder.build(std::string(172, 'x')));
  EXPECT_EQ(header.metadata.get_string("general.architecture"), "llama");
  EXPECT_EQ(header.metadata.get_int("count"), 7);
  EXPECT_EQ(header.metadata.find_number("eps"), 1e-5);  // not 9.99999974e-06
  EXPECT_EQ(header.metadata.find_bool("flag"), true);
  EXPECT_EQ(header.metadata.find_int("small"), -1);
  EXPECT_THAT(header.metadata.get_strings("names"), ElementsAre("a", ""));
  EXPECT_THAT(*header.metadata.find_ints("types"), ElementsAre(1, -2));
  EXPECT_EQ(header.metadata.find_int("absent"), std::nullopt);
  EXPECT_THAT(error_of([&] { header.metadata.get_int("absent"); }), HasSubstr("absent is missing"));
  EXPECT_THAT(error_of([&] { header.metadata.find_string("count"); }), HasSubstr("count must be a string"));

  ASSERT_EQ(header.tensors.size(), 2U);
  const GgufTensor& w = header.tensors[0];
  EXPECT_THAT(w.shape, ElementsAre(2, 64));
  EXPECT_EQ(w.type, GgufType::q8_0);
  EXPECT_EQ(w.bytes, 136U);
  EXPECT_EQ(w.row_bytes(), 68U);
  EXPECT_EQ(w.num_rows(), 2);
  EXPECT_EQ(w.offset % 32, 0U);
  EXPECT_EQ(header.tensors[1].offset, w.offset + 160);
}

TEST(Gguf, RefusesOtherFilesAndVersions) {
  EXPECT_THAT(problem_of(""), HasSubstr("not a GGUF file"));
  EXPECT_THAT(problem_of("GGU"), HasSubstr("not a GGUF file"));
  EXPECT_THAT(problem_of("PK\3\4 something else"), HasSubstr("not a GGUF file"));
  EXPECT_THAT(problem_of("version https://git-lfs.github.com/spec/v1\noid"), HasSubstr("git lfs pull"));
  GgufBuilder builder;
  builder.version = 1;
  EXPECT_THAT(problem_of(builder.build("")), HasSubstr("GGUF version 1 is not supported"));
  builder.version = 0x03000000;
  EXPECT_THAT(problem_of(builder.build("")), HasSubstr("big-endian"));
}

TEST(Gguf, RefusesEveryTruncation) {
  GgufBuilder builder;
  builder.add("key", std::string("value")).add_raw("list", kArray, list(4, 2, std::string(8, 'x')));
  builder.add_tensor("w", {8}, kF32, 0);
  const std::string whole = builder.build(std::string(32, 'x'));
  EXPECT_EQ(problem_of(whole), "");
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_NE(problem_of(whole.substr(0, size)), "") << size;
}

TEST(Gguf, RefusesCountsThatTheFileCannotHold) {
  for (const std::uint64_t count : {std::uint64_t{1} << 32, std::uint64_t{1} << 62, ~std::uint64_t{0} - 5}) {
    GgufBuilder tensors;
    tensors.extra_tensors = count;
    EXPECT_THAT(problem_of(tensors.build("")), HasSubstr("tensors, more than"));
    GgufBuilder values;
    values.extra_values = count;
    EXPECT_THAT(problem_of(values.build("")), HasSubstr("metadata values, more than"));
    GgufBuilder numbers;
    numbers.add_raw("list", kArray, list(4, count, ""));
    EXPECT_THAT(problem_of(numbers.build("")), HasSubstr("numbers in a list, more than"));
    GgufBuilder strings;
    strings.add_raw("list", kArray, list(8, count, ""));
    EXPECT_THAT(problem_of(strings.build("")), HasSubstr("strings in a list, more than"));
    GgufBuilder text;
    std::string length;
    append(length, count);
    text.add_raw("text", 8, length);
    EXPECT_NE(problem_of(text.build("")), "");
  }
}

TEST(Gguf, RefusesUnknownAndNestedValues) {
  GgufBuilder unknown;
  unknown.add_raw("key", 13, "12345678");
  EXPECT_THAT(problem_of(unknown.build("")), HasSubstr("unknown value type 13"));
  GgufBuilder nested;
  nested.add_raw("key", kArray, list(kArray, 1, list(4, 0, "")));
  EXPECT_THAT(problem_of(nested.build("")), HasSubstr("list of lists"));
  GgufBuilder large;
  large.add_raw("key", 10, std::string(8, '\xff'));
  EXPECT_THAT(problem_of(large.build("")), HasSubstr("too large"));
}

TEST(Gguf, RefusesNamesThatStandTwice) {
  GgufBuilder keys;
  keys.add("key", 1U).add("key", 2U);
  EXPECT_THAT(problem_of(keys.build("")), HasSubstr("key stands twice"));
  GgufBuilder tensors;
  tensors.add_tensor("w", {8}, kF32, 0).add_tensor("w", {8}, kF32, 32);
  EXPECT_THAT(problem_of(tensors.build(std::string(64, 'x'))), HasSubstr("tensor w stands twice"));
}

TEST(Gguf, RefusesTypesByName) {
  GgufBuilder builder;
  builder.add_tensor("w", {256}, 17, 0);
  EXPECT_THAT(problem_of(builder.build(std::string(256, 'x'))),
              AllOf(HasSubstr("tensor w has the type IQ2_XS"), HasSubstr("Supported are F32, F16")));
  GgufBuilder future;
  future.add_tensor("w", {256}, 999, 0);
  EXPECT_THAT(problem_of(future.build(std::string(256, 'x'))), HasSubstr("number 999"));
}

TEST(Gguf, RefusesBadShapes) {
  const auto problem_of_shape = [](const std::vector<std::uint64_t>& dims, std::uint32_t type) {
    GgufBuilder builder;
    builder.add_tensor("w", dims, type, 0);
    return problem_of(builder.build(std::string(64, 'x')));
  };
  constexpr std::uint64_t k32 = std::uint64_t{1} << 32;
  EXPECT_THAT(problem_of_shape({}, kF32), HasSubstr("0 dimensions"));
  EXPECT_THAT(problem_of_shape({1, 1, 1, 1, 1}, kF32), HasSubstr("5 dimensions"));
  EXPECT_THAT(problem_of_shape({0}, kF32), HasSubstr("empty or overflows"));
  EXPECT_THAT(problem_of_shape({k32, k32}, kF32), HasSubstr("empty or overflows"));
  EXPECT_THAT(problem_of_shape({k32, k32 / 4}, kF32), HasSubstr("the size of tensor w overflows"));
  EXPECT_THAT(problem_of_shape({~std::uint64_t{0}}, kF32), HasSubstr("overflows"));
  EXPECT_THAT(problem_of_shape({33}, kQ8_0), HasSubstr("a multiple of 32"));
}

TEST(Gguf, RefusesTensorsOutsideTheFileOrOverEachOther) {
  const auto problem_of_offset = [](std::uint64_t offset) {
    GgufBuilder builder;
    builder.add_tensor("w", {8}, kF32, 0).add_tensor("v", {8}, kF32, offset);
    return problem_of(builder.build(std::string(64, 'x')));
  };
  EXPECT_EQ(problem_of_offset(32), "");
  EXPECT_THAT(problem_of_offset(64), HasSubstr("ends past the file"));
  EXPECT_THAT(problem_of_offset(~std::uint64_t{31}), HasSubstr("ends past the file"));
  EXPECT_THAT(problem_of_offset(33), HasSubstr("not a multiple of 32"));
  EXPECT_THAT(problem_of_offset(0), HasSubstr("overlap"));
}

TEST(Gguf, RefusesSplitFilesAndBadAlignment) {
  GgufBuilder split;
  split.add_raw("split.count", 2, std::string("\3\0", 2));
  EXPECT_THAT(problem_of(split.build("")), HasSubstr("one of 3 parts"));
  for (const std::uint32_t alignment : {0U, 33U, 1U << 31}) {
    GgufBuilder builder;
    builder.add("general.alignment", alignment);
    EXPECT_THAT(problem_of(builder.build("")), HasSubstr("general.alignment")) << alignment;
  }
}

TEST(Gguf, SurvivesRandomDamage) {
  GgufBuilder builder;
  builder.add("general.architecture", std::string("llama"))
      .add_raw("list", kArray, list(8, 2, gguf_string("ab") + gguf_string("c")))
      .add_tensor("w", {32, 2}, kQ8_0, 0);
  const std::string whole = builder.build(std::string(68, 'x'));
  std::mt19937 random(1);
  for (int i = 0; i < 20'000; ++i) {
    std::string damaged = whole;
    for (int change = 0; change < 2; ++change)
      damaged[random() % damaged.size()] = static_cast<char>(random());
    damaged.resize(damaged.size() - random() % 4);
    try {
      for (const GgufTensor& tensor : parse(damaged).tensors)
        ASSERT_LE(tensor.offset + tensor.bytes, damaged.size());
    } catch (const Error&) {
    }
  }
}

TEST(Gguf, KnowsItsFiles) {
  testing::TempFolder folder;
  EXPECT_TRUE(is_gguf_file(folder.write("a", GgufBuilder().build(""))));
  EXPECT_FALSE(is_gguf_file(folder.write("b", "GGU")));
  EXPECT_FALSE(is_gguf_file(folder.path() / "none"));
  EXPECT_FALSE(is_gguf_file(folder.path()));
}

}  // namespace
}  // namespace lmdeploy
