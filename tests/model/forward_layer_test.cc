// Decoder::forward_layer: layer after layer gives what the whole model gives.
#include <gtest/gtest.h>

#include <map>
#include <numeric>

#include "model/decoder_reader.h"
#include "model/model_session.h"

namespace lmdeploy::testing {
namespace {

class ForwardLayer : public ::testing::TestWithParam<std::string> {
 protected:
  ForwardLayer() : config_(load_hf_config(folder_)), architecture_(get_architecture(config_, folder_)) {
    WeightReader reader(cpu_.ctx, std::make_shared<const Checkpoint>(folder_), {.dtype = config_.dtype});
    outer_ = read_decoder({config_, reader, {}}, architecture_);
    decoder_.emplace(Device::cpu, config_,
                     make_rope(config_.rope, config_.head_dim, config_.max_position_embeddings, 0),
                     read_decoder({config_, reader, {}}, architecture_), 64);
  }

  // Through all layers, one by one; then what follows them.
  std::vector<Logits> by_layers(const Ids& ids, const LinearObserver& observe) {
    const auto len = static_cast<std::int32_t>(ids.size());
    Tensor hidden(host_allocator(), DType::f32, {len, config_.hidden_size});
    if (outer_.embedding.empty())
      ops::embed(cpu_.ctx, ids, outer_.head.parts.front().weight, hidden);
    else
      ops::embed(cpu_.ctx, ids, outer_.embedding, hidden);
    Ids positions(ids.size());
    std::iota(positions.begin(), positions.end(), 0);
    const std::int32_t starts[] = {0, len}, block = 0;
    const Batch batch{positions, positions, starts, {&len, 1}, {&block, 1}, 1, {}};
    KvPool pool(cpu_.ctx, decoder_->info().kv_layout, decoder_->info().num_layers, 1);
    for (int i = 0; i < decoder_->info().num_layers; i++)
      decoder_->forward_layer(cpu_.ctx, i, batch, pool, hidden, observe);
    return head(hidden);
  }

  std::vector<Logits> head(const View& hidden) {
    Tensor normed(host_allocator(), config_.dtype, hidden.shape);
    Tensor logits(host_allocator(), DType::f32, {hidden.dim(0), config_.vocab_size});
    outer_.final_norm.apply(cpu_.ctx, hidden, normed);
    outer_.head.apply(cpu_.ctx, normed, logits);
    std::vector<Logits> rows;
    for (std::int64_t i = 0; i < hidden.dim(0); i++) {
      const float* row = logits.view().row<float>(i);
      rows.emplace_back(row, row + config_.vocab_size);
    }
    return rows;
  }

  std::filesystem::path folder_ = golden_folder(GetParam());
  Cpu cpu_;
  HfConfig config_;
  const Architecture& architecture_;
  DecoderWeights outer_;
  std::optional<Decoder> decoder_;
};

TEST_P(ForwardLayer, LayersInTurnAreTheModel) {
  const Ids ids = random_ids(23, 97, 1);
  const auto whole = ModelSession(cpu_.ctx, *decoder_, 1, 64).prefill(0, ids, 23);
  EXPECT_TRUE(by_layers(ids, {}) == whole);
}

TEST_P(ForwardLayer, TheObserverSeesWhatEachGroupReads) {
  std::map<LinearInput, int> seen;
  by_layers(random_ids(23, 97, 1), [&](LinearInput input, const View& x) {
    EXPECT_EQ(x.dim(0), 23);
    seen[input] += static_cast<int>(x.dim(1));
    return true;
  });
  const int layers = decoder_->info().num_layers;
  EXPECT_EQ(seen[LinearInput::qkv], layers * config_.hidden_size);
  EXPECT_EQ(seen[LinearInput::attention_output], layers * config_.num_attention_heads * config_.head_dim);
  EXPECT_EQ(seen[LinearInput::gate_up], layers * config_.hidden_size);
  EXPECT_EQ(seen[LinearInput::down], layers * config_.intermediate_size);
}

TEST_P(ForwardLayer, TheObserverEndsTheLayer) {
  for (const auto last :
       {LinearInput::qkv, LinearInput::attention_output, LinearInput::gate_up, LinearInput::down}) {
    std::vector<LinearInput> seen;
    by_layers(random_ids(23, 97, 1), [&](LinearInput input, const View&) {
      seen.push_back(input);
      return input != last;
    });
    EXPECT_EQ(std::ssize(seen), decoder_->info().num_layers * (static_cast<int>(last) + 1));
    EXPECT_EQ(seen.back(), last);
  }
}

INSTANTIATE_TEST_SUITE_P(Goldens, ForwardLayer,
                         ::testing::Values("llama", "internlm2_5", "qwen3", "llama_bias_tied"),
                         [](const auto& one) { return one.param; });

}  // namespace
}  // namespace lmdeploy::testing
