// Weights in 16 bits: close to f32's numbers, and counted as they are held.
#include <gtest/gtest.h>

#include "model/model_session.h"

namespace lmdeploy::testing {
namespace {

struct Case {
  DType dtype;
  double max_error;  // a rounding of 2^-9 (bf16) or 2^-12 (f16) at some ten places, and room
};

std::vector<Logits> run(Cpu& cpu, const std::string& name, DType dtype, const Ids& ids) {
  LoadOptions options;
  options.dtype = dtype;
  const auto model = load_model(cpu.ctx, golden_folder(name), options);
  return ModelSession(cpu.ctx, *model, 1, 256).prefill(0, ids, 256);
}

TEST(WeightDtype, SixteenBitsStayCloseToF32) {
  Cpu cpu;
  for (const std::string name : {"llama", "qwen2", "qwen3", "mistral"}) {
    const Ids ids = random_ids(100, 97, 1);
    const std::vector<Logits> exact = run(cpu, name, DType::f32, ids);
    for (const Case& c : {Case{DType::bf16, 0.06}, Case{DType::f16, 0.008}}) {
      const std::vector<Logits> rounded = run(cpu, name, c.dtype, ids);
      double worst = 0;
      for (std::size_t i = 0; i < ids.size(); i++)
        worst = std::max(worst, relative_error(rounded[i], exact[i]));
      EXPECT_LT(worst, c.max_error) << name << " " << dtype_name(c.dtype);
      EXPECT_GT(worst, 0) << name << ": nothing was rounded to " << dtype_name(c.dtype);
    }
  }
}

TEST(WeightDtype, InfoSaysWhatIsHeld) {
  Cpu cpu;
  LoadOptions options;
  options.block_len = 128;
  const auto wide = load_model(cpu.ctx, golden_folder("llama"), options);
  options.dtype = DType::bf16;
  const auto narrow = load_model(cpu.ctx, golden_folder("llama"), options);
  EXPECT_EQ(wide->info().kv_layout.dtype, DType::f32);
  EXPECT_EQ(narrow->info().kv_layout.dtype, DType::bf16);
  EXPECT_EQ(narrow->info().kv_layout.block_len, 128);
  EXPECT_EQ(narrow->info().kv_layout.num_kv_heads, 2);
  EXPECT_EQ(narrow->info().kv_layout.head_dim, 10);
  EXPECT_EQ(narrow->info().vocab_size, 97);
  EXPECT_EQ(narrow->info().num_layers, 2);
  EXPECT_EQ(narrow->info().max_position_embeddings, 256);
  EXPECT_LT(narrow->info().decode_read_bytes, wide->info().decode_read_bytes);
  // The embedding [97, 40] stays f32, as in the file, and is not read by a decode step.
  EXPECT_EQ(narrow->info().weight_bytes - narrow->info().decode_read_bytes, 97 * 40 * 4);
}

}  // namespace
}  // namespace lmdeploy::testing
