// What is wrong with a folder is said by name: the tensor, the shape expected and the one found.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/writer.h"
#include "model/model_session.h"
#include "support/temp_folder.h"

namespace lmdeploy::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// A golden's folder with some tensors left out, reshaped or given another type.
class EditedFolder {
 public:
  using Edit = std::function<bool(TensorSpec& spec)>;  // false: leave it out

  EditedFolder(const std::string& golden, const Edit& edit) {
    const Checkpoint source(golden_folder(golden));
    std::vector<TensorSpec> specs;
    for (const std::string& name : source.names()) {
      TensorSpec spec{name, source.get(name).dtype, source.get(name).shape};
      if (edit(spec)) specs.push_back(spec);
    }
    CheckpointWriter writer(path_, specs);
    for (const TensorSpec& spec : specs) {
      const std::vector<std::byte> zeros(static_cast<std::size_t>(spec.shape.num_elements()) *
                                         dtype_bytes(spec.dtype));
      writer.write(spec.name, zeros);
    }
    writer.finish();
    std::filesystem::copy_file(golden_folder(golden) / "config.json", path_ / "config.json");
  }

  void edit_config(const std::string& key, const nlohmann::json& value) {
    nlohmann::json config = nlohmann::json::parse(std::ifstream(path_ / "config.json"));
    config[key] = value;
    std::ofstream(path_ / "config.json") << config;
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  const TempFolder folder_;
  const std::filesystem::path& path_ = folder_.path();
};

std::string load_error(const std::filesystem::path& folder) {
  Cpu cpu(1);
  try {
    load_model(cpu.ctx, folder, {});
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

class LoadError : public ::testing::TestWithParam<std::string> {};

TEST_P(LoadError, EveryMissingTensorIsNamed) {
  for (const std::string& name : Checkpoint(golden_folder(GetParam())).names()) {
    const EditedFolder folder(GetParam(), [&](TensorSpec& spec) { return spec.name != name; });
    const Shape shape = Checkpoint(golden_folder(GetParam())).get(name).shape;
    EXPECT_THAT(load_error(folder.path()), AllOf(HasSubstr(name), HasSubstr(shape.to_string())));
  }
}

TEST_P(LoadError, EveryMisshapenTensorIsNamed) {
  for (const std::string& name : Checkpoint(golden_folder(GetParam())).names()) {
    std::string expected, found;
    const EditedFolder folder(GetParam(), [&](TensorSpec& spec) {
      if (spec.name != name) return true;
      expected = spec.shape.to_string();
      spec.shape = spec.shape.rank() == 2 ? Shape{spec.shape[1], spec.shape[0] + 1} : Shape{spec.shape[0], 1};
      found = spec.shape.to_string();
      return true;
    });
    EXPECT_THAT(load_error(folder.path()), AllOf(HasSubstr(name), HasSubstr(expected), HasSubstr(found)));
  }
}

INSTANTIATE_TEST_SUITE_P(Models, LoadError, ::testing::Values("llama_bias_tied", "qwen3", "internlm2_5"),
                         [](const auto& test) { return test.param; });

TEST(LoadErrors, IntegersAreNotWeights) {
  const EditedFolder folder("llama", [](TensorSpec& spec) {
    if (spec.name == "model.layers.1.mlp.down_proj.weight") spec.dtype = DType::i8;
    return true;
  });
  EXPECT_THAT(load_error(folder.path()),
              AllOf(HasSubstr("model.layers.1.mlp.down_proj.weight"), HasSubstr("int8"),
                    HasSubstr("expected float32, bfloat16 or float16")));
}

TEST(LoadErrors, UnknownArchitecturesAreListedWithTheKnown) {
  EditedFolder folder("llama", [](TensorSpec&) { return true; });
  folder.edit_config("architectures", {"MambaForCausalLM"});
  EXPECT_THAT(
      load_error(folder.path()),
      AllOf(HasSubstr("MambaForCausalLM"), HasSubstr("InternLM2ForCausalLM"), HasSubstr("Qwen3ForCausalLM")));
}

TEST(LoadErrors, ShapesAreCheckedBeforeMemoryIsTaken) {
  for (const char* key : {"vocab_size", "intermediate_size"}) {
    EditedFolder folder("llama", [](TensorSpec&) { return true; });
    folder.edit_config(key, 4'000'000);
    EXPECT_THAT(load_error(folder.path()), AllOf(HasSubstr("[4000000, 40]"), HasSubstr("config.json")));
  }
}

TEST(LoadErrors, ASecondHeadOfATiedModelIsIgnored) {
  EditedFolder folder("llama", [](TensorSpec&) { return true; });  // has lm_head.weight
  folder.edit_config("tie_word_embeddings", true);
  EXPECT_EQ(load_error(folder.path()), "no error");
}

TEST(Registry, KnowsItsArchitectures) {
  EXPECT_THAT(known_architectures(),
              ::testing::ElementsAre("InternLM2ForCausalLM", "LlamaForCausalLM", "MistralForCausalLM",
                                     "Qwen2ForCausalLM", "Qwen3ForCausalLM"));
}

}  // namespace
}  // namespace lmdeploy::testing
