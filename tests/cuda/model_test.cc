// Whole models on a card: the goldens of tests/model, the CPU's numbers in 16 bits and with a quantised
// cache, and what a plan says of the card's memory.
#include "cuda/no_card.h"
#include "engine/step_memory.h"
#include "model/compute_context.h"
#include "model/golden_fixture.h"
#include "tensor/counting_allocator.h"

namespace lmdeploy::testing {
namespace {

std::filesystem::path quantized_folder(const std::string& name) {
  return std::filesystem::path(LMDEPLOY_SOURCE_DIR) / "tests/golden/quantized" / name;
}

class CudaGolden : public GoldenTest {
 protected:
  void load_on_card(const std::filesystem::path& folder) {
    if (!why_no_card().empty()) GTEST_SKIP() << why_no_card();
    compute_.emplace(Device::cuda, 2);
    load(folder, {.dtype = DType::f32});
  }
  Ctx& ctx() override { return compute_->ctx(); }

  void expect_golden(double tolerance) {
    ModelSession session = this->session();
    int seq_idx = 0;
    for (const auto& prompt : prompts()) {
      const std::vector<Logits> logits = expect_logits(session, seq_idx++, prompt, tolerance);
      const Ids greedy = prompt.at("greedy_ids");
      const std::size_t last_asked = prompt.at("ids").size() - 1;
      for (std::size_t i = 0; i < greedy.size(); i++)
        EXPECT_EQ(argmax(logits.at(last_asked + i)), greedy[i]) << "greedy token " << i;
    }
  }

 private:
  std::optional<ComputeContext> compute_;
};

class CudaModelGolden : public CudaGolden {
 protected:
  void SetUp() override { load_on_card(golden_folder(GetParam())); }
};

TEST_P(CudaModelGolden, LogitsAndGreedyIdsAreTransformers) {
  expect_golden(1e-4);
}

TEST_P(CudaModelGolden, TokenByTokenIsTheWhole) {
  ModelSession session = this->session();
  const Ids ids = prompts().front().at("ids");
  const std::vector<Logits> whole = session.prefill(0, ids, 1000), parts = this->session().prefill(0, ids, 1);
  for (std::size_t i = 0; i < ids.size(); i++) EXPECT_LT(relative_error(parts[i], whole[i]), 1e-5) << i;
}

INSTANTIATE_TEST_SUITE_P(Models, CudaModelGolden, ::testing::ValuesIn(golden_names()),
                         [](const auto& test) { return test.param; });

class CudaQuantizedGolden : public CudaGolden {
 protected:
  void SetUp() override { load_on_card(quantized_folder(GetParam())); }
};

// Activations that are rounded fall the other way here and there.
TEST_P(CudaQuantizedGolden, LogitsAndGreedyIdsAreTheTools) {
  expect_golden(GetParam().find("w8a8") == std::string::npos ? 1e-4 : 2e-2);
}

INSTANTIATE_TEST_SUITE_P(Folders, CudaQuantizedGolden,
                         ::testing::ValuesIn(golden_names(quantized_folder(""))),
                         [](const auto& test) { return test.param; });

class CudaModel : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!why_no_card().empty()) GTEST_SKIP() << why_no_card();
    card_.emplace(Device::cuda, 2);
  }
  static std::vector<Logits> run(Ctx& ctx, const std::filesystem::path& folder, const LoadOptions& options) {
    const auto model = load_model(ctx, folder, options);
    return ModelSession(ctx, *model, 1, 256).prefill(0, random_ids(100, 97, 1), 37);
  }
  // The largest error against the CPU's logits.
  double worst_error(const std::filesystem::path& folder, const LoadOptions& options) {
    const std::vector<Logits> expected = run(cpu_.ctx, folder, options),
                              actual = run(card_->ctx(), folder, options);
    double worst = 0;
    for (std::size_t i = 0; i < expected.size(); i++)
      worst = std::max(worst, relative_error(actual[i], expected[i]));
    return worst;
  }

  Cpu cpu_;
  std::optional<ComputeContext> card_;
};

// Each may be as far from 32 bits as tests/model/dtype_test.cc allows.
TEST_F(CudaModel, SixteenBitsAreTheCpus) {
  for (const std::string name : {"llama", "qwen2", "qwen3", "mistral", "internlm2_5"}) {
    EXPECT_LT(worst_error(golden_folder(name), {.dtype = DType::bf16}), 0.06) << name;
    EXPECT_LT(worst_error(golden_folder(name), {.dtype = DType::f16}), 0.008) << name;
  }
  for (const std::string name : {"awq_w4", "gptq_w4_asym_desc_act", "ct_w8_channel", "fp8_block_qwen3"})
    EXPECT_LT(worst_error(quantized_folder(name), {.dtype = DType::bf16}), 0.06) << name;
}

TEST_F(CudaModel, RoundedInputsAndHeadAreTheCpus) {
  EXPECT_LT(worst_error(quantized_folder("awq_w4"),
                        {.dtype = DType::f32, .activations = ops::Activations::int8_per_group}),
            0.02);
  EXPECT_LT(worst_error(golden_folder("qwen2"), {.dtype = DType::f32, .head_bits = 8}), 0.02);
}

// A key that lies between two codes may be rounded to the other one.
TEST_F(CudaModel, QuantizedCachesAreTheCpus) {
  for (const std::string name : {"llama", "qwen2", "mistral"}) {
    EXPECT_LT(worst_error(golden_folder(name), {.dtype = DType::f32, .kv_bits = 8}), 0.01) << name;
    EXPECT_LT(worst_error(golden_folder(name), {.dtype = DType::f32, .kv_bits = 4}), 0.1) << name;
    const LoadOptions centred{.dtype = DType::f32, .kv_bits = 4, .calibration_ids = random_ids(100, 97, 2)};
    EXPECT_LT(worst_error(golden_folder(name), centred), 0.1) << name;
  }
}

// Without a stream, as without a card, a load takes the same memory and computes nothing.
TEST_F(CudaModel, APlanTakesWhatALoadTakes) {
  const auto held_bytes = [](Ctx ctx, Allocator& memory, const std::filesystem::path& folder, int head_bits) {
    CountingAllocator allocator(memory);
    ctx.allocator = &allocator;
    const auto model = load_model(ctx, folder, {.head_bits = head_bits});
    return allocator.held_bytes();
  };
  ThreadPool skipping(1, ThreadPool::Tasks::skip);
  Ctx plan;
  plan.device = Device::cuda;
  plan.pool = &skipping;
  for (const int head_bits : {16, 8}) {
    for (const std::string& name : golden_names())
      EXPECT_EQ(held_bytes(plan, host_allocator(), golden_folder(name), head_bits),
                held_bytes(card_->ctx(), *card_->ctx().allocator, golden_folder(name), head_bits))
          << name;
    for (const std::string& name : golden_names(quantized_folder("")))
      EXPECT_EQ(held_bytes(plan, host_allocator(), quantized_folder(name), head_bits),
                held_bytes(card_->ctx(), *card_->ctx().allocator, quantized_folder(name), head_bits))
          << name;
  }
}

TEST_F(CudaModel, AStepTakesNoMoreThanIsPlanned) {
  const auto model = load_model(card_->ctx(), golden_folder("llama"), {});
  ModelSession session(card_->ctx(), *model, 5, 256);
  std::vector<Feed> feeds{{0, random_ids(200, 97, 1), false}};
  for (int i = 1; i < 5; i++) feeds.push_back({i, {i}, false});
  session.step(feeds);
  const EngineOptions options{.device = Device::cuda, .session_len = 200, .max_batch_size = 5};
  EXPECT_LE(static_cast<std::int64_t>(card_->ctx().workspace->peak_bytes()),
            max_workspace_bytes(*model, options));
}

}  // namespace
}  // namespace lmdeploy::testing
