#include "checkpoint/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "checkpoint/foreign_bytes.h"

namespace lmdeploy {
namespace {

using ::testing::ElementsAre;
using testing::error_of;
using ::testing::HasSubstr;
using testing::safetensors_file;

std::vector<SafetensorsEntry> parse(const std::string& file) {
  return parse_safetensors(std::as_bytes(std::span(file)), "model.safetensors");
}

std::string problem_of(const std::string& file) {
  return error_of([&] { parse(file); });
}

// One tensor's description.
std::string tensor(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
}

constexpr const char* kSixteen = "0123456789abcdef";

TEST(Safetensors, ReadsNamesTypesShapesAndPlaces) {
  const std::string header = R"({"__metadata__":{"format":"pt"},"b":)" + tensor("BF16", "[2,3]", "[4,16]") +
                             R"(,"a":)" + tensor("F32", "[]", "[0,4]") + "}   ";
  const auto entries = parse(safetensors_file(header, kSixteen));
  ASSERT_EQ(entries.size(), 2U);
  EXPECT_EQ(entries[0].name, "a");
  EXPECT_THAT(entries[0].shape, ElementsAre());
  EXPECT_EQ(entries[0].offset, 8 + header.size());
  EXPECT_EQ(entries[1].name, "b");
  EXPECT_EQ(entries[1].dtype, "BF16");
  EXPECT_THAT(entries[1].shape, ElementsAre(2, 3));
  EXPECT_EQ(entries[1].offset, 8 + header.size() + 4);
  EXPECT_EQ(entries[1].bytes, 12U);
}

TEST(Safetensors, TypesThatWeDoNotComputeWithMayBePresent) {
  const std::string header =
      R"({"a":)" + tensor("I64", "[1]", "[0,8]") + R"(,"b":)" + tensor("F4", "[16]", "[8,16]") + "}";
  EXPECT_EQ(parse(safetensors_file(header, kSixteen)).size(), 2U);
  EXPECT_EQ(find_dtype_of_safetensors("I64"), std::nullopt);
  EXPECT_EQ(find_dtype_of_safetensors("BF16"), DType::bf16);
  EXPECT_EQ(safetensors_spelling(DType::u8), "U8");
}

TEST(Safetensors, TypesOfTheFutureMayBePresent) {
  EXPECT_EQ(parse(safetensors_file(R"({"a":)" + tensor("F2", "[9]", "[0,16]") + "}", kSixteen)).size(), 1U);
}

TEST(Safetensors, RefusesAnEmptyFile) {
  EXPECT_THAT(problem_of(""), HasSubstr("at least 8 bytes, this one 0"));
  EXPECT_THAT(problem_of("1234567"), HasSubstr("at least 8 bytes, this one 7"));
}

TEST(Safetensors, RefusesAHeaderLengthThatTheFileDoesNotHave) {
  EXPECT_THAT(problem_of(safetensors_file(std::uint64_t{1} << 63, "{}", "")),
              HasSubstr("9223372036854775808"));
  EXPECT_THAT(problem_of(safetensors_file(~std::uint64_t{0}, "{}", "")), HasSubstr("18446744073709551615"));
  EXPECT_THAT(problem_of(safetensors_file(3, "{}", "")), HasSubstr("claims 3 bytes"));
}

TEST(Safetensors, RefusesOverlapsHolesAndTails) {
  const std::string first = R"({"a":)" + tensor("U8", "[8]", "[0,8]") + R"(,"b":)";
  EXPECT_THAT(problem_of(safetensors_file(first + tensor("U8", "[9]", "[7,16]") + "}", kSixteen)),
              HasSubstr("tensor b overlaps"));
  EXPECT_THAT(problem_of(safetensors_file(first + tensor("U8", "[7]", "[9,16]") + "}", kSixteen)),
              HasSubstr("a hole of 1 bytes before tensor b"));
  EXPECT_THAT(problem_of(safetensors_file(first + tensor("U8", "[7]", "[8,15]") + "}", kSixteen)),
              HasSubstr("1 bytes follow"));
}

TEST(Safetensors, RefusesTensorsPastTheEnd) {
  EXPECT_THAT(problem_of(safetensors_file(R"({"a":)" + tensor("U8", "[17]", "[0,17]") + "}", kSixteen)),
              HasSubstr("past its 16 bytes"));
  EXPECT_THAT(
      problem_of(safetensors_file(
          R"({"a":)" + tensor("U8", "[1]", "[18446744073709551614,18446744073709551615]") + "}", kSixteen)),
      HasSubstr("a hole"));
}

TEST(Safetensors, RefusesShapesThatOverflow) {
  for (const char* shape : {"[4294967296,4294967296]", "[9223372036854775807,2]", "[18446744073709551615]",
                            "[65536,65536,65536,65536]"})
    EXPECT_THAT(problem_of(safetensors_file(R"({"a":)" + tensor("F32", shape, "[0,16]") + "}", kSixteen)),
                HasSubstr("the shape of tensor a overflows"))
        << shape;
}

TEST(Safetensors, RefusesShapesThatAreNotTheBytes) {
  EXPECT_THAT(problem_of(safetensors_file(R"({"a":)" + tensor("F32", "[5]", "[0,16]") + "}", kSixteen)),
              HasSubstr("tensor a of type F32 takes 160 bits by its shape but 16 bytes"));
  EXPECT_THAT(problem_of(safetensors_file(R"({"a":)" + tensor("F4", "[3]", "[0,1]") + "}", "x")),
              HasSubstr("12 bits"));
}

TEST(Safetensors, RefusesFieldsOfTheWrongKind) {
  for (const std::string& description :
       {std::string("7"), tensor("U8", "[16]", "[16,0]"), tensor("U8", "[-1]", "[0,16]"),
        tensor("U8", "[16.0]", "[0,16]"), tensor("U8", "[[16]]", "[0,16]"), tensor("U8", "16", "[0,16]"),
        tensor("U8", "[16]", "[0,16,16]"), tensor("U8", "[16]", "[\"0\",16]"),
        tensor("U8", "[1e400]", "[0,16]"), std::string(R"({"dtype":8,"shape":[16],"data_offsets":[0,16]})"),
        std::string(R"({"shape":[16],"data_offsets":[0,16]})"), std::string(R"({"dtype":"U8","shape":[16]})"),
        std::string(R"({"dtype":"U8","data_offsets":[0,16]})")})
    EXPECT_THAT(problem_of(safetensors_file(R"({"a":)" + description + "}", kSixteen)),
                HasSubstr("model.safetensors"))
        << description;
}

TEST(Safetensors, RefusesHeadersThatAreNotAnObject) {
  for (const char* header : {"", "[]", "null", "{", "{\"a\":}", "\x80\x02}"})
    EXPECT_THAT(problem_of(safetensors_file(header, "")), HasSubstr("header")) << header;
}

TEST(Safetensors, RefusesDuplicateNames) {
  const std::string twice = tensor("U8", "[16]", "[0,16]");
  EXPECT_THAT(problem_of(safetensors_file(R"({"a":)" + twice + R"(,"a":)" + twice + "}", kSixteen)),
              HasSubstr("the name \"a\" stands twice"));
}

TEST(Safetensors, RefusesDepth) {
  EXPECT_THAT(problem_of(safetensors_file(std::string(64, '[') + std::string(64, ']'), "")),
              HasSubstr("not a JSON object"));
  for (const std::size_t depth : {65U, 100'000U})
    EXPECT_THAT(problem_of(safetensors_file(std::string(depth, '[') + std::string(depth, ']'), "")),
                HasSubstr("nested more than 64 deep"));
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += R"({"a":)";
  EXPECT_THAT(problem_of(safetensors_file(objects, "")), HasSubstr("nested more than 64 deep"));
}

TEST(Safetensors, RefusesAGitLfsPointer) {
  const std::string pointer =
      "version https://git-lfs.github.com/spec/v1\noid sha256:4665465465465465\nsize 3141592653\n";
  EXPECT_THAT(problem_of(pointer), HasSubstr("git lfs pull"));
}

// Whatever bytes change, the answer is a parse or an Error, never a crash or another exception.
TEST(Safetensors, SurvivesRandomDamage) {
  const std::string whole = safetensors_file(
      R"({"__metadata__":{"format":"pt"},"a":)" + tensor("F32", "[2,2]", "[0,16]") + "}", kSixteen);
  std::mt19937 random(1);
  for (int i = 0; i < 20'000; ++i) {
    std::string damaged = whole;
    for (int change = 0; change < 2; ++change)
      damaged[random() % damaged.size()] = static_cast<char>(random());
    damaged.resize(damaged.size() - random() % 4);
    try {
      for (const SafetensorsEntry& entry : parse(damaged))
        ASSERT_LE(entry.offset + entry.bytes, damaged.size());
    } catch (const Error&) {
    }
  }
}

}  // namespace
}  // namespace lmdeploy
