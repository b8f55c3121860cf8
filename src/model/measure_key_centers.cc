#include <algorithm>
#include <chrono>
#include <complex>
#include <functional>
#include <iterator>
#include <numeric>

#include "base/error.h"
#include "model/key_centers.h"
#include "model/model.h"
#include "ops/ops.h"

namespace lmdeploy {
namespace {

// Positions that the centres are a mean over. On SmolLM2 512 and 1024 lost less than 128, 256, 2048 or all:
// a longer mean leaves the first tokens of a context, which get much of the attention.
constexpr std::int64_t kCenterPositions = 1024;

std::vector<std::int32_t> counting(std::size_t count) {
  std::vector<std::int32_t> values(count);
  std::iota(values.begin(), values.end(), 0);
  return values;
}

// The beginning of the text, without ids that another model's tokenizer gave.
std::vector<std::int32_t> usable_ids(const ModelInfo& info, std::span<const std::int32_t> ids) {
  std::vector<std::int32_t> usable;
  std::copy_if(ids.begin(), ids.end(), std::back_inserter(usable),
               [&](std::int32_t id) { return id >= 0 && id < info.vocab_size; });
  usable.resize(std::min(usable.size(), static_cast<std::size_t>(info.max_position_embeddings)));
  return usable;
}

// Fills blocks 0, 1, ... of the pool with the tokens' keys: the slot of a token is its position.
void fill(Ctx& ctx, const Model& model, KvPool& pool, std::span<const std::int32_t> token_ids) {
  const auto num_tokens = static_cast<std::int32_t>(token_ids.size());
  const std::vector<std::int32_t> positions = counting(token_ids.size());
  const std::vector<std::int32_t> blocks = counting(static_cast<std::size_t>(pool.num_blocks()));
  const std::int32_t starts[] = {0, num_tokens};
  Batch batch;
  batch.token_ids = token_ids;
  batch.positions = positions;
  batch.query_starts = starts;
  batch.context_lens = {&num_tokens, 1};
  batch.block_tables = blocks;
  batch.max_blocks = static_cast<std::int32_t>(blocks.size());
  model.forward(ctx, batch, pool, View());
}

// What ops::rope turns keys at positions 0, 1, .. back by: [num_tokens, head_dim] f32.
Tensor back_turns(Ctx& ctx, std::span<const float> inv_freq, std::int64_t num_tokens) {
  std::vector<float> negative(inv_freq.size());
  std::transform(inv_freq.begin(), inv_freq.end(), negative.begin(), std::negate<>());
  Tensor table(*ctx.allocator, DType::f32, {num_tokens, 2 * std::ssize(inv_freq)});
  ops::rope_table(ctx, counting(static_cast<std::size_t>(num_tokens)), negative, 1, table);
  return table;
}

// The mean of a turn by 0, f, 2 f, .. radians: what is left of a number of this direction.
std::complex<double> mean_turn(double f, std::int64_t num_positions) {
  std::complex<double> sum = 0;
  for (std::int64_t i = 0; i < num_positions; i++) sum += std::polar(1.0, f * static_cast<double>(i));
  return sum / static_cast<double>(num_positions);
}

std::vector<std::complex<double>> mean_turns(std::span<const float> inv_freq, std::int64_t num_positions) {
  std::vector<std::complex<double>> turns;
  for (const float f : inv_freq) turns.push_back(mean_turn(static_cast<double>(f), num_positions));
  return turns;
}

// keys: [num_tokens, num_kv_heads, head_dim] f32 in host memory, not turned; turns: [head_dim / 2] of the
// pairs (x[j], x[j + head_dim / 2]); center: [num_kv_heads * head_dim].
void write_center(const View& keys, std::span<const std::complex<double>> turns, float* center) {
  const auto half = std::ssize(turns);
  for (std::int64_t head = 0; head < keys.dim(1); head++, center += 2 * half)
    for (std::int64_t j = 0; j < half; j++) {
      std::complex<double> sum = 0;
      for (std::int64_t t = 0; t < keys.dim(0); t++) {
        const float* key = keys.row<float>(t) + head * 2 * half;
        sum += std::complex<double>(static_cast<double>(key[j]), static_cast<double>(key[j + half]));
      }
      const std::complex<double> mean =
          sum / static_cast<double>(keys.dim(0)) * turns[static_cast<std::size_t>(j)];
      center[j] = static_cast<float>(mean.real());
      center[j + half] = static_cast<float>(mean.imag());
    }
}

}  // namespace

KeyCenters measure_key_centers(Ctx& ctx, const Model& model, std::span<const float> inv_freq,
                               std::span<const std::int32_t> text_ids) {
  const ModelInfo& info = model.info();
  CHECK(2 * std::ssize(inv_freq) == info.kv_layout.head_dim, "{} frequencies for heads of {}",
        inv_freq.size(), info.kv_layout.head_dim);
  CHECK(info.kv_layout.quant_bits == 0, "keys are measured in a cache of {} bits", info.kv_layout.quant_bits);
  const auto start = std::chrono::steady_clock::now();
  const std::vector<std::int32_t> token_ids = usable_ids(info, text_ids);
  const std::vector<std::int32_t> slots = counting(token_ids.size());
  const auto num_tokens = std::ssize(token_ids);
  if (num_tokens == 0) return {{}, "nothing: the tokenizer belongs to another model"};
  KvPool pool(ctx, info.kv_layout, info.num_layers,
              (num_tokens + info.kv_layout.block_len - 1) / info.kv_layout.block_len);
  fill(ctx, model, pool, token_ids);

  const std::int64_t width = std::int64_t{info.kv_layout.num_kv_heads} * info.kv_layout.head_dim;
  const Shape shape{num_tokens, info.kv_layout.num_kv_heads, info.kv_layout.head_dim};
  const Tensor keys(*ctx.allocator, DType::f32, shape), host_keys(host_allocator(), DType::f32, shape);
  const Tensor back = back_turns(ctx, inv_freq, num_tokens);
  const auto turns =
      mean_turns(inv_freq, std::min<std::int64_t>(kCenterPositions, info.max_position_embeddings));
  KeyCenters centers;
  centers.values.resize(static_cast<std::size_t>(info.num_layers * width));
  for (int i = 0; i < info.num_layers; i++) {
    ops::read_keys(ctx, pool.layer(i), slots, keys);
    ops::rope(ctx, keys, back);
    ops::copy_to_host(ctx, keys, host_keys);
    write_center(host_keys, turns, centers.values.data() + i * width);
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  centers.origin = fmt::format("{} tokens of built-in text in {:.2f} s", num_tokens, seconds.count());
  return centers;
}

}  // namespace lmdeploy
