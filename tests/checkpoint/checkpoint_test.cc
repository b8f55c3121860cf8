#include "checkpoint/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "checkpoint/foreign_bytes.h"

namespace lmdeploy {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::error_of;
using ::testing::HasSubstr;
using testing::safetensors_file;
using testing::TempFolder;

// A file with one U8 tensor of two bytes.
std::string one_tensor(const std::string& name, const std::string& data = "xy") {
  return safetensors_file(R"({")" + name + R"(":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})", data);
}

std::string problem_of(const TempFolder& folder) {
  return error_of([&] { Checkpoint checkpoint(folder.path()); });
}

TEST(Checkpoint, ReadsASingleFile) {
  TempFolder folder;
  const std::string header =
      R"({"w":{"dtype":"BF16","shape":[2,3],"data_offsets":[0,12]},"s":{"dtype":"F32","shape":[],"data_offsets":[12,16]}})";
  folder.write("model.safetensors",
               safetensors_file(header + std::string(8 - header.size() % 8, ' '),
                                std::string("\x80\x3f\0\x40", 4) + std::string(12, '\0')));
  const Checkpoint checkpoint(folder.path());
  EXPECT_THAT(checkpoint.names(), ElementsAre("s", "w"));
  EXPECT_EQ(checkpoint.total_bytes(), 16);
  EXPECT_TRUE(checkpoint.contains("w"));
  EXPECT_FALSE(checkpoint.contains("v"));
  const View w = checkpoint.get("w");
  EXPECT_EQ(w.shape, (Shape{2, 3}));
  EXPECT_EQ(to_float(w.as<bf16_t>()[0]), 1.0F);
  EXPECT_EQ(to_float(w.as<bf16_t>()[1]), 2.0F);
  EXPECT_EQ(checkpoint.get("s").shape, (Shape{1}));
  checkpoint.release("w");
  EXPECT_EQ(to_float(checkpoint.get("w").as<bf16_t>()[1]), 2.0F);
}

TEST(Checkpoint, AMissingTensorIsNamed) {
  TempFolder folder;
  folder.write("model.safetensors", one_tensor("a"));
  const Checkpoint checkpoint(folder.path());
  EXPECT_THAT(error_of([&] { checkpoint.get("b"); }), HasSubstr("no tensor b"));
}

TEST(Checkpoint, TensorsThatWeCannotHoldAreRefusedWhenAskedFor) {
  TempFolder folder;
  folder.write("model.safetensors",
               safetensors_file(R"({"position_ids":{"dtype":"I64","shape":[1],"data_offsets":[0,8]},)"
                                R"("deep":{"dtype":"U8","shape":[1,1,1,1,2],"data_offsets":[8,10]}})",
                                "0123456789"));
  const Checkpoint checkpoint(folder.path());
  EXPECT_THAT(error_of([&] { checkpoint.get("position_ids"); }),
              AllOf(HasSubstr("position_ids"), HasSubstr("I64")));
  EXPECT_THAT(error_of([&] { checkpoint.get("deep"); }), HasSubstr("5 dimensions"));
}

// The header of 57 bytes is not padded: the floats behind it begin at an odd address.
TEST(Checkpoint, MisalignedTensorsAreCopied) {
  TempFolder folder;
  std::string header = R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  header += std::string(1 + (8 - header.size() % 8), ' ');
  std::string data;
  testing::append(data, 1.5F);
  testing::append(data, -2.5F);
  folder.write("model.safetensors", safetensors_file(header, data));
  const Checkpoint checkpoint(folder.path());
  const View w = checkpoint.get("w");
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(w.data) % alignof(float), 0U);
  EXPECT_EQ(w.as<float>()[0], 1.5F);
  EXPECT_EQ(w.as<float>()[1], -2.5F);
  EXPECT_EQ(checkpoint.get("w").data, w.data);
  checkpoint.release("w");
  EXPECT_EQ(checkpoint.get("w").as<float>()[1], -2.5F);
}

TEST(Checkpoint, AFileThatShrinksIsAnErrorNotASignal) {
  TempFolder folder;
  const fs::path path =
      folder.write("model.safetensors",
                   safetensors_file(R"({"w":{"dtype":"U8","shape":[20000],"data_offsets":[0,20000]}})",
                                    std::string(20000, 'x')));
  const Checkpoint checkpoint(folder.path());
  fs::resize_file(path, 100);
  EXPECT_THAT(error_of([&] { checkpoint.get("w"); }), HasSubstr("changed its size"));
}

TEST(Checkpoint, ReadsShards) {
  TempFolder folder;
  folder.write("model-1.safetensors", one_tensor("a", "pq"));
  folder.write("model-2.safetensors", one_tensor("b", "rs"));
  folder.write(
      "model.safetensors.index.json",
      R"({"metadata":{"total_size":4},"weight_map":{"a":"model-1.safetensors","b":"model-2.safetensors"}})");
  const Checkpoint checkpoint(folder.path());
  EXPECT_THAT(checkpoint.names(), ElementsAre("a", "b"));
  EXPECT_EQ(checkpoint.get("b").as<std::uint8_t>()[1], 's');
}

// The hub's cache keeps the files elsewhere and puts links into the snapshot's folder.
TEST(Checkpoint, FollowsLinks) {
  TempFolder folder;
  folder.write("blobs/abc", one_tensor("a"));
  fs::create_directory(folder.path() / "snapshot");
  fs::create_symlink("../blobs/abc", folder.path() / "snapshot" / "model.safetensors");
  EXPECT_TRUE(Checkpoint(folder.path() / "snapshot").contains("a"));
}

TEST(Checkpoint, AMissingShardIsNamed) {
  TempFolder folder;
  folder.write("model-1.safetensors", one_tensor("a"));
  folder.write("model.safetensors.index.json",
               R"({"weight_map":{"a":"model-1.safetensors","b":"model-2.safetensors"}})");
  EXPECT_THAT(problem_of(folder), HasSubstr("model-2.safetensors is missing"));
}

TEST(Checkpoint, AnIndexMustNotLeadOutOfTheFolder) {
  TempFolder folder;
  folder.write("outside.safetensors", one_tensor("a"));
  for (const char* name :
       {"../outside.safetensors", "/etc/passwd", "x/../../outside.safetensors", "..", "", "a\\u0000b"}) {
    TempFolder model;
    model.write("model.safetensors.index.json", std::string(R"({"weight_map":{"a":")") + name + "\"}}");
    EXPECT_THAT(problem_of(model), HasSubstr("outside its folder")) << name;
  }
}

TEST(Checkpoint, RefusesAnIndexThatItsShardsContradict) {
  TempFolder folder;
  folder.write("1.safetensors", one_tensor("a"));
  folder.write("2.safetensors", one_tensor("b"));
  folder.write("model.safetensors.index.json", R"({"weight_map":{"a":"2.safetensors","b":"1.safetensors"}})");
  EXPECT_THAT(problem_of(folder), HasSubstr("places tensor a in 2.safetensors"));
}

TEST(Checkpoint, RefusesATensorInTwoShards) {
  TempFolder folder;
  folder.write("1.safetensors", one_tensor("a"));
  folder.write("2.safetensors", one_tensor("a"));
  folder.write("model.safetensors.index.json", R"({"weight_map":{"a":"1.safetensors","b":"2.safetensors"}})");
  EXPECT_THAT(problem_of(folder), HasSubstr("tensor a stands both in"));
}

TEST(Checkpoint, RefusesABrokenIndex) {
  for (const char* index : {"", "[]", "{}", R"({"weight_map":{}})", R"({"weight_map":[]})",
                            R"({"weight_map":{"a":1}})", R"({"weight_map":{"a":"1","a":"2"}})",
                            "version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 2\n"}) {
    TempFolder folder;
    folder.write("model.safetensors.index.json", index);
    EXPECT_THAT(problem_of(folder), HasSubstr("model.safetensors.index.json")) << index;
  }
}

TEST(Checkpoint, RefusesPickledWeightsWithTheCommandThatConvertsThem) {
  for (const char* name :
       {"pytorch_model.bin", "pytorch_model-00001-of-00002.bin", "consolidated.00.pth", "model.pt"}) {
    TempFolder folder;
    folder.write(name, "\x80\x02}q");
    EXPECT_THAT(problem_of(folder), AllOf(HasSubstr("pickled weights"), HasSubstr(name),
                                          HasSubstr("save_pretrained('" + folder.path().string())));
  }
}

TEST(Checkpoint, SaysWhatTheFolderHoldsInsteadOfWeights) {
  TempFolder empty;
  EXPECT_THAT(problem_of(empty), HasSubstr("holds no weights"));
  TempFolder gguf;
  gguf.write("model.gguf", "GGUF");
  EXPECT_THAT(problem_of(gguf), HasSubstr("lmdeploy convert"));
  TempFolder shards;
  shards.write("model-00001-of-00002.safetensors", one_tensor("a"));
  EXPECT_THAT(problem_of(shards), HasSubstr("model.safetensors.index.json"));
  EXPECT_THAT(error_of([&] { Checkpoint checkpoint(empty.path() / "nothing"); }), HasSubstr("not a folder"));
}

TEST(Checkpoint, AnEmptyFileIsNamed) {
  TempFolder folder;
  folder.write("model.safetensors", "");
  EXPECT_THAT(problem_of(folder), AllOf(HasSubstr("model.safetensors"), HasSubstr("this one 0")));
}

}  // namespace
}  // namespace lmdeploy
