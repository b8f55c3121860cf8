#include "checkpoint/writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <cstring>
#include <numeric>

#include "checkpoint/checkpoint.h"
#include "checkpoint/foreign_bytes.h"

namespace lmdeploy {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::error_of;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::TempFolder;

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

std::string bytes_of(const Checkpoint& checkpoint, const std::string& name) {
  const View view = checkpoint.get(name);
  return {static_cast<const char*>(view.data), static_cast<std::size_t>(view.bytes())};
}

const std::vector<TensorSpec> kThree = {
    {"one", DType::u8, {3}}, {"two", DType::f32, {2, 2}}, {"three", DType::bf16, {1, 5}}};
const std::string kOne = "abc";
const std::string kTwo = "0123456789abcdef";
const std::string kThreeBytes = "ABCDEFGHIJ";

void write_three(CheckpointWriter& writer) {
  writer.write("three", bytes_of(kThreeBytes));
  writer.write("two", bytes_of(kTwo.substr(0, 5)));
  writer.write("one", bytes_of(kOne));
  writer.write("two", bytes_of(kTwo.substr(5)));
}

void expect_three(const TempFolder& folder) {
  const Checkpoint checkpoint(folder.path());
  EXPECT_THAT(checkpoint.names(), ElementsAre("one", "three", "two"));
  EXPECT_EQ(bytes_of(checkpoint, "one"), kOne);
  EXPECT_EQ(bytes_of(checkpoint, "two"), kTwo);
  EXPECT_EQ(bytes_of(checkpoint, "three"), kThreeBytes);
  EXPECT_EQ(checkpoint.get("two").shape, (Shape{2, 2}));
  EXPECT_EQ(checkpoint.get("three").dtype, DType::bf16);
}

TEST(WriteSafetensors, OneFileOfItsOwnName) {
  TempFolder folder;
  std::vector<NamedTensor> tensors;
  for (const TensorSpec& spec : kThree) {
    tensors.push_back({spec.name, Tensor(host_allocator(), spec.dtype, spec.shape)});
    const std::string& bytes = spec.name == "one" ? kOne : spec.name == "two" ? kTwo : kThreeBytes;
    std::memcpy(tensors.back().tensor.view().data, bytes.data(), bytes.size());
  }
  write_safetensors(folder.path() / "other.safetensors", tensors);
  std::filesystem::rename(folder.path() / "other.safetensors", folder.path() / "model.safetensors");
  expect_three(folder);
}

TEST(CheckpointWriter, WritesOneFileThatReadsBack) {
  TempFolder folder;
  CheckpointWriter writer(folder.path(), kThree);
  EXPECT_EQ(writer.total_bytes(), 29U);
  write_three(writer);
  writer.finish();
  EXPECT_THAT(folder.names(), ElementsAre("model.safetensors"));
  expect_three(folder);
}

TEST(CheckpointWriter, WritesShardsWithAnIndex) {
  TempFolder folder;
  CheckpointWriter writer(folder.path(), kThree, 19);
  write_three(writer);
  writer.finish();
  EXPECT_THAT(folder.names(),
              ElementsAre("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
                          "model.safetensors.index.json"));
  expect_three(folder);
}

TEST(CheckpointWriter, ATensorLargerThanAShardGetsItsOwn) {
  TempFolder folder;
  CheckpointWriter writer(folder.path(), kThree, 1);
  write_three(writer);
  writer.finish();
  EXPECT_EQ(folder.names().size(), 4U);
  expect_three(folder);
}

TEST(CheckpointWriter, TensorsAreAlignedWhateverTheirOrder) {
  TempFolder folder;
  CheckpointWriter writer(folder.path(), kThree);
  write_three(writer);
  writer.finish();
  const std::string file = testing::read_bytes(folder.path() / "model.safetensors");
  for (const SafetensorsEntry& entry : parse_safetensors(bytes_of(file), "file"))
    EXPECT_EQ(entry.offset % dtype_bytes(*find_dtype_of_safetensors(entry.dtype)), 0U) << entry.name;
}

TEST(CheckpointWriter, TheSameTensorsGiveTheSameBytes) {
  std::string files[2];
  for (std::string& file : files) {
    TempFolder folder;
    CheckpointWriter writer(folder.path(), kThree);
    write_three(writer);
    writer.finish();
    file = testing::read_bytes(folder.path() / "model.safetensors");
  }
  EXPECT_EQ(files[0], files[1]);
}

TEST(CheckpointWriter, NothingStaysWhereItDidNotFinish) {
  TempFolder folder;
  {
    CheckpointWriter writer(folder.path(), kThree, 19);
    write_three(writer);
    for (const std::string& name : folder.names()) EXPECT_THAT(name, HasSubstr(".tmp-"));
  }
  EXPECT_THAT(folder.names(), IsEmpty());
}

TEST(CheckpointWriter, AFullDiskSaysHowMuchIsMissing) {
  TempFolder folder;
  const auto available = static_cast<std::int64_t>(std::filesystem::space(folder.path()).available);
  const std::vector<TensorSpec> huge = {{"w", DType::u8, {available + 1'000'000'000}}};
  EXPECT_THAT(error_of([&] { CheckpointWriter writer(folder.path(), huge); }),
              AllOf(HasSubstr("bytes free"), HasSubstr("are missing"), HasSubstr("another disk")));
  EXPECT_THAT(folder.names(), IsEmpty());
}

// The limit on a file's size makes the kernel refuse as a full disk does, in the middle of the work.
TEST(OutputFile, AWriteThatFailsLeavesNothing) {
  TempFolder folder;
  const auto attempt = [&] {
    OutputFile file(folder.path() / "x", 0);
    std::string data(200'000, 'x');
    file.write_at(0, bytes_of(data));
    file.commit();
  };
  const auto ignored = std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit small{100'000, before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  const std::string problem = error_of(attempt);
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, ignored);
  EXPECT_THAT(problem, HasSubstr("cannot write " + (folder.path() / "x").string()));
  EXPECT_THAT(folder.names(), IsEmpty());
  attempt();
  EXPECT_THAT(folder.names(), ElementsAre("x"));
}

TEST(OutputFile, AReservationThatFailsLeavesNothing) {
  TempFolder folder;
  const auto available = std::filesystem::space(folder.path()).available;
  EXPECT_THAT(error_of([&] { OutputFile file(folder.path() / "x", available + 1'000'000'000); }),
              HasSubstr("are missing"));
  EXPECT_THAT(folder.names(), IsEmpty());
}

TEST(OutputFile, ReplacesAnOlderFileAtOnce) {
  TempFolder folder;
  folder.write("x", "old");
  {
    OutputFile file(folder.path() / "x", 3);
    file.write_at(0, bytes_of("new"));
    EXPECT_EQ(testing::read_bytes(folder.path() / "x"), "old");
    file.commit();
  }
  EXPECT_EQ(testing::read_bytes(folder.path() / "x"), "new");
  EXPECT_THAT(folder.names(), ElementsAre("x"));
}

TEST(OutputFile, AFolderThatCannotBeWrittenIsNamed) {
  TempFolder folder;
  EXPECT_THAT(error_of([&] { write_text_file(folder.path() / "none" / "x", "text"); }),
              HasSubstr("cannot create"));
}

}  // namespace
}  // namespace lmdeploy
