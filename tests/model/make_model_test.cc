// tools/make_model: its folders load, their activations stay sane, and both layouts hold one model.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "checkpoint/checkpoint.h"
#include "make_model_texts.h"
#include "make_model_weights.h"
#include "model/model_session.h"
#include "support/temp_folder.h"

namespace lmdeploy::testing {
namespace {

using make_model::Form;
using make_model::Layout;
using make_model::Storage;

class MakeModel : public ::testing::Test {
 protected:
  std::filesystem::path make(const std::string& name, const Form& form, std::uint64_t seed) {
    const make_model::ModelShape& shape = *make_model::find_shape("tiny");
    std::filesystem::create_directories(root_ / name);
    make_model::write_texts(shape, form, root_ / name);
    make_model::write_weights(cpu_.pool, shape, form, seed, root_ / name);
    return root_ / name;
  }
  std::vector<Logits> run(const std::filesystem::path& folder) {
    const auto model = load_model(cpu_.ctx, folder, {});
    return ModelSession(cpu_.ctx, *model, 1, 64).prefill(0, random_ids(20, 1200, 1), 20);
  }

  Cpu cpu_;
  const TempFolder root_;
};

TEST_F(MakeModel, LayoutsHoldTheSameModel) {
  const std::vector<Logits> internlm2 = run(make("internlm2", {Layout::internlm2}, 0));
  EXPECT_TRUE(internlm2 == run(make("llama", {Layout::llama}, 0)));
  EXPECT_FALSE(internlm2 == run(make("other", {Layout::llama}, 1)));
}

TEST_F(MakeModel, QuantisedLayoutsHoldTheSameModel) {
  for (const auto& [name, storage] :
       {std::pair<std::string, Storage>{"awq", Storage::awq}, {"fp8", Storage::fp8}}) {
    const std::vector<Logits> internlm2 = run(make(name + "_internlm2", {Layout::internlm2, storage}, 0));
    EXPECT_TRUE(internlm2 == run(make(name + "_llama", {Layout::llama, storage}, 0))) << name;
  }
}

TEST_F(MakeModel, LogitsHaveAScaleOfOne) {
  for (const Storage storage : {Storage::bf16, Storage::awq, Storage::fp8})
    for (const Logits& row :
         run(make(std::to_string(static_cast<int>(storage)), {Layout::llama, storage}, 2))) {
      double squares = 0;
      for (const float value : row) squares += double{value} * value;
      EXPECT_NEAR(std::sqrt(squares / static_cast<double>(row.size())), 1, 0.3);
    }
}

TEST_F(MakeModel, NoWeightIsZero) {
  const Checkpoint checkpoint(make("zeros", {Layout::internlm2}, 3));
  for (const std::string& name : checkpoint.names()) {
    const View view = checkpoint.get(name);
    const auto* values = view.as<bf16_t>();
    EXPECT_TRUE(std::all_of(values, values + view.shape.num_elements(), [](bf16_t value) {
      return std::abs(to_float(value)) > 1e-7F;
    })) << name;
  }
}

}  // namespace
}  // namespace lmdeploy::testing
