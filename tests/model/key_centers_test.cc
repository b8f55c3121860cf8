// Caches of codes through a whole model: what they lose, and where the centres of int4 keys come from.
#include "model/key_centers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/error.h"
#include "checkpoint/output_file.h"
#include "model/model_session.h"
#include "ops/ops.h"
#include "support/temp_folder.h"

namespace lmdeploy::testing {
namespace {

using ::testing::HasSubstr;

class QuantizedCache : public ::testing::Test {
 protected:
  std::unique_ptr<const Model> load(const std::filesystem::path& folder, std::int32_t kv_bits,
                                    const Ids& calibration_ids = {}) {
    LoadOptions options;
    options.dtype = DType::f32;
    options.kv_bits = kv_bits;
    options.calibration_ids = calibration_ids;
    return load_model(cpu_.ctx, folder, options);
  }
  double worst_error(const Model& model, const std::vector<Logits>& exact, const Ids& ids) {
    const auto logits = ModelSession(cpu_.ctx, model, 1, 256).prefill(0, ids, 256);
    double worst = 0;
    for (std::size_t i = 0; i < ids.size(); i++) worst = std::max(worst, relative_error(logits[i], exact[i]));
    return worst;
  }
  KeyCenters measure(const Model& model, const Ids& ids) {
    return measure_key_centers(cpu_.ctx, model, inv_freq(model), ids);
  }
  // Of the goldens, whose rope is plain with a base of 10,000.
  static std::vector<float> inv_freq(const Model& model) {
    const std::int32_t half = model.info().kv_layout.head_dim / 2;
    std::vector<float> result;
    for (std::int32_t j = 0; j < half; j++)
      result.push_back(std::pow(10000.0F, -static_cast<float>(j) / static_cast<float>(half)));
    return result;
  }
  // A copy of a golden model's folder that may be written to.
  std::filesystem::path copy_of(const std::string& name) {
    std::filesystem::copy(golden_folder(name), root_ / name);
    return root_ / name;
  }

  Cpu cpu_;
  const TempFolder root_;
};

// Every head_dim and every architecture of the goldens.
TEST_F(QuantizedCache, LogitsStayNear) {
  for (const std::string& name : golden_names()) {
    const Ids ids = random_ids(100, 90, 1);
    const auto plain = load(golden_folder(name), 0);
    const auto exact = ModelSession(cpu_.ctx, *plain, 1, 256).prefill(0, ids, 256);
    const double int8 = worst_error(*load(golden_folder(name), 8), exact, ids);
    const double int4 = worst_error(*load(golden_folder(name), 4, random_ids(80, 90, 2)), exact, ids);
    EXPECT_GT(int8, 0) << name;
    EXPECT_LT(int8, 0.1) << name << ": the worst logit of weights that are random";
    EXPECT_GT(int4, int8) << name;
    EXPECT_LT(int4, 30 * int8) << name << ": a step of 4 bits is 17 of 8 bits";
  }
}

TEST_F(QuantizedCache, CentersAreMeansOfTheKeys) {
  const auto model = load(golden_folder("llama"), 0);
  const Ids ids = random_ids(70, 90, 3);
  const KeyCenters centers = measure(*model, ids);
  const ModelInfo& info = model->info();
  EXPECT_EQ(std::ssize(centers.values),
            info.num_layers * info.kv_layout.num_kv_heads * info.kv_layout.head_dim);
  EXPECT_THAT(centers.origin, HasSubstr("70 tokens"));
  EXPECT_EQ(measure(*model, ids).values, centers.values);
  EXPECT_TRUE(std::any_of(centers.values.begin(), centers.values.end(), [](float x) { return x > 0.01F; }));
}

// In the first layer every token 7 has the same key before it is turned: three of them tell what the mean of
// 256, the whole context of this model, is.
TEST_F(QuantizedCache, CentersAreForMorePositionsThanTheTextHas) {
  const auto model = load(golden_folder("llama"), 0);
  const ops::KvLayout& layout = model->info().kv_layout;
  Ids ids(256, 7), counting(256), blocks(static_cast<std::size_t>(256 / layout.block_len));
  std::iota(counting.begin(), counting.end(), 0);
  std::iota(blocks.begin(), blocks.end(), 0);
  const std::int32_t starts[] = {0, 256}, len = 256;
  KvPool pool = make_kv_pool(cpu_.ctx, model->info(), std::ssize(blocks));
  model->forward(cpu_.ctx,
                 {ids, counting, starts, {&len, 1}, blocks, static_cast<std::int32_t>(blocks.size()), {}},
                 pool, View());
  const Tensor keys(host_allocator(), DType::f32, {256, layout.num_kv_heads, layout.head_dim});
  ops::read_keys(cpu_.ctx, pool.layer(0), counting, keys);

  const KeyCenters centers = measure(*model, Ids(3, 7));
  for (std::int64_t c = 0; c < layout.num_kv_heads * layout.head_dim; c++) {
    double sum = 0;
    for (std::int64_t t = 0; t < 256; t++) sum += static_cast<double>(keys.view().row<float>(t)[c]);
    EXPECT_NEAR(centers.values[static_cast<std::size_t>(c)], sum / 256, 1e-5) << c;
  }
}

TEST_F(QuantizedCache, IdsOfAnotherTokenizerAreLeftOut) {
  const auto model = load(golden_folder("llama"), 0);
  EXPECT_EQ(measure(*model, Ids{5, 100000, -1, 6}).values, measure(*model, Ids{5, 6}).values);
  EXPECT_TRUE(measure(*model, Ids{100000}).values.empty());
  EXPECT_TRUE(load(golden_folder("llama"), 4)->info().key_centers.values.empty());
}

TEST_F(QuantizedCache, AFileReplacesTheMeasurement) {
  const std::filesystem::path folder = copy_of("llama");
  const auto model = load(folder, 0);
  const KeyCenters centers = measure(*model, random_ids(50, 90, 4));
  write_key_centers(folder, *model, centers);
  const auto loaded = load(folder, 4, random_ids(50, 90, 5));
  EXPECT_EQ(loaded->info().key_centers.values, centers.values);
  EXPECT_EQ(loaded->info().key_centers.origin, kKeyCentersFile);
}

TEST_F(QuantizedCache, AFileThatDoesNotFitIsRefused) {
  const std::filesystem::path folder = copy_of("llama"), other = copy_of("qwen3");
  const auto model = load(folder, 0), stranger = load(other, 0);
  write_key_centers(folder, *stranger, measure(*stranger, Ids{1, 2, 3}));
  try {
    load(folder, 4);
    ADD_FAILURE();
  } catch (const Error& e) {
    EXPECT_THAT(e.problem(), HasSubstr(kKeyCentersFile));
    EXPECT_THAT(e.remedy(), HasSubstr("delete it"));
  }
  KeyCenters broken = measure(*model, Ids{1, 2, 3});
  broken.values.back() = std::numeric_limits<float>::quiet_NaN();
  write_key_centers(folder, *model, broken);
  EXPECT_THROW(load(folder, 4), Error);
  write_text_file(folder / kKeyCentersFile, "no safetensors");
  EXPECT_THROW(load(folder, 4), Error);
}

}  // namespace
}  // namespace lmdeploy::testing
