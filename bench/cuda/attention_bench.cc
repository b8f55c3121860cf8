// Attention on a card, one layer of a 1.8B (16 heads over 8 of 128) and of a 7B (32 over 8): decode, from the
// projection on, in microseconds, GB/s of cache and the share of the read rate; prompts in microseconds and
// TFLOP/s.
//   cuda_attention_bench [decode | prompts]
// Every figure is a CUDA graph of calls over layers that together are larger than the second-level cache; the
// median of ten runs.
#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <random>
#include <string_view>
#include <vector>

#include "card.h"
#include "ops/ops.h"

namespace lmdeploy::ops {
namespace {

constexpr std::int64_t kCacheBytes = std::int64_t{512} << 20, kStoredAtOnce = 4096;

struct HeadShape {
  const char* name;
  std::int32_t num_heads, num_kv_heads, head_dim;
};
constexpr HeadShape kShapes[] = {{"1.8B", 16, 8, 128}, {"7B", 32, 8, 128}};
constexpr std::int32_t kQuantBits[] = {0, 8, 4};

// The same floats each time.
Tensor random_floats(Card& card, std::int64_t rows, std::int64_t columns) {
  Tensor host(host_allocator(), DType::f32, {rows, columns}),
      device(*card.ctx.allocator, DType::f32, {rows, columns});
  std::minstd_rand rng{1};
  for (std::int64_t i = 0; i < rows * columns; i++)
    host.view().as<float>()[i] = static_cast<float>(rng() % 2001) * 2e-3F - 2;
  copy_from_host(card.ctx, host, device);
  return device;
}

// Sequences of one length whose blocks lie scattered, in as many layers as it takes.
class Caches {
 public:
  Caches(Card& card, const HeadShape& shape, std::int32_t quant_bits, std::int64_t num_seqs, std::int64_t len)
      : card_(card), shape_(shape), num_seqs_(num_seqs), len_(len) {
    layout_ = {DType::bf16, shape.num_kv_heads, shape.head_dim, 64, quant_bits};
    blocks_per_seq_ = (len + 63) / 64;
    num_blocks_ = num_seqs * blocks_per_seq_;
    num_layers_ = std::max<std::int64_t>(1, kCacheBytes / (num_blocks_ * layout_.block_bytes()));
    memory_ = Tensor(*card.ctx.allocator, DType::u8, {num_blocks_, num_layers_ * layout_.block_bytes()});
    tables_.resize(static_cast<std::size_t>(num_blocks_));
    for (std::size_t i = 0; i < tables_.size(); i++) tables_[i] = static_cast<std::int32_t>(i);
    std::shuffle(tables_.begin(), tables_.end(), std::minstd_rand{2});
    fill();
  }

  std::int64_t num_layers() const { return num_layers_; }
  double layer_bytes() const {
    return static_cast<double>(num_seqs_ * len_ * layout_.num_kv_heads * 2 * layout_.token_bytes());
  }

  // Microseconds of attention in one layer, the last `num_queries` tokens of every sequence asking.
  double prompt_us(std::int64_t num_queries) {
    const Tensor q = random_floats(card_, num_seqs_ * num_queries, query_width());
    return layer_us(num_queries, [&](const KvLayer& cache, const AttentionBatch& batch, const View& y) {
      attention(card_.ctx, heads_of(q, 0, shape_.num_heads), cache, batch, y);
    });
  }
  // The same with one new token of every sequence, which comes from a projection.
  double decode_us() {
    const Tensor rows =
                     random_floats(card_, num_seqs_,
                                   query_width() + std::int64_t{2} * shape_.num_kv_heads * shape_.head_dim),
                 angles = random_floats(card_, num_seqs_, shape_.head_dim);
    std::vector<std::int32_t> slots;
    for (std::int64_t s = 1; s <= num_seqs_; s++)
      slots.push_back(tables_[static_cast<std::size_t>(s * blocks_per_seq_ - 1)] * 64 +
                      static_cast<std::int32_t>((len_ - 1) % 64));
    const std::int32_t h = shape_.num_heads, g = shape_.num_kv_heads;
    const ProjectedRows projected{heads_of(rows, 0, h), heads_of(rows, h, g), heads_of(rows, h + g, g),
                                  angles, slots};
    return layer_us(1, [&](const KvLayer& cache, const AttentionBatch& batch, const View& y) {
      store_and_attend(card_.ctx, projected, cache, batch, y);
    });
  }

 private:
  std::int64_t query_width() const { return std::int64_t{shape_.num_heads} * shape_.head_dim; }
  View heads_of(const View& rows, std::int64_t first, std::int64_t count) const {
    const View columns = rows.columns(first * shape_.head_dim, count * shape_.head_dim);
    return {columns.data, DType::f32, {rows.dim(0), count, shape_.head_dim}, columns.row_stride};
  }
  template <class F>
  double layer_us(std::int64_t num_queries, const F& attend) {
    const std::int64_t m = num_seqs_ * num_queries;
    const Tensor y(*card_.ctx.allocator, DType::bf16, {m, query_width()});
    std::vector<std::int32_t> starts,
        lens(static_cast<std::size_t>(num_seqs_), static_cast<std::int32_t>(len_));
    for (std::int64_t s = 0; s <= num_seqs_; s++)
      starts.push_back(static_cast<std::int32_t>(s * num_queries));
    const Workspace::Scope scope(*card_.ctx.workspace);
    AttentionBatch batch{.query_starts = starts, .context_lens = lens, .block_tables = tables_};
    batch.max_blocks = static_cast<std::int32_t>(blocks_per_seq_);
    batch.scale = 0.09F;
    Indices* const indices[] = {&batch.query_starts, &batch.context_lens, &batch.block_tables};
    upload(card_.ctx, indices);
    return card_.graph_us([&] {
      for (std::int64_t i = 0; i < num_layers_; i++) attend(layer(i), batch, y);
    }) / static_cast<double>(num_layers_);
  }
  KvLayer layer(std::int64_t i) const {
    return {layout_, memory_.view().as<std::uint8_t>() + i * layout_.block_bytes(), num_blocks_,
            memory_.view().row_stride, nullptr};
  }
  void fill() {
    const std::int64_t width = std::int64_t{shape_.num_kv_heads} * shape_.head_dim;
    const Tensor rows = random_floats(card_, kStoredAtOnce, width);
    for (std::int64_t i = 0; i < num_layers_; i++)
      for (std::int64_t slot = 0; slot < num_blocks_ * 64; slot += kStoredAtOnce) {
        std::vector<std::int32_t> slots;
        for (std::int64_t j = slot; j < std::min(slot + kStoredAtOnce, num_blocks_ * 64); j++)
          slots.push_back(static_cast<std::int32_t>(j));
        const View heads(rows.view().data, DType::f32,
                         {static_cast<std::int64_t>(slots.size()), shape_.num_kv_heads, shape_.head_dim});
        store_kv(card_.ctx, heads, heads, slots, layer(i));
      }
    card_.wait();
  }

  Card& card_;
  HeadShape shape_;
  std::int64_t num_seqs_, len_;
  KvLayout layout_;
  std::int64_t blocks_per_seq_ = 0, num_blocks_ = 0, num_layers_ = 0;
  Tensor memory_;
  std::vector<std::int32_t> tables_;
};

void bench_decode(Card& card) {
  constexpr std::pair<std::int64_t, std::int64_t> kBatches[] = {
      {1, 128}, {1, 1024}, {1, 8192}, {1, 32768}, {8, 1024}, {40, 1024}, {64, 1024}, {64, 8192}, {256, 1024}};
  for (const HeadShape& shape : kShapes)
    for (const std::int32_t bits : kQuantBits)
      for (const auto& [num_seqs, len] : kBatches) {
        Caches caches(card, shape, bits, num_seqs, len);
        const double us = caches.decode_us(), rate = caches.layer_bytes() / us * 1e-3;
        fmt::print("{:5} {:2} bits, {:3} x {:5}: {:8.1f} us {:6.0f} GB/s {:4.0f} %\n", shape.name,
                   bits == 0 ? 16 : bits, num_seqs, len, us, rate,
                   100e9 * rate / card.roofs.read_bytes_per_s);
      }
}

// Prompts from their first token on, and chunks of them behind what is already stored. Only what a query sees
// counts.
void bench_prompts(Card& card) {
  constexpr std::pair<std::int64_t, std::int64_t> kChunks[] = {
      {0, 512}, {0, 1024}, {0, 4096}, {0, 8192}, {0, 32768}, {8192, 2048}};  // stored before, queries
  for (const HeadShape& shape : kShapes)
    for (const std::int32_t bits : kQuantBits)
      for (const auto& [before, len] : kChunks) {
        Caches caches(card, shape, bits, 1, before + len);
        const double us = caches.prompt_us(len),
                     pairs = (static_cast<double>(before) + static_cast<double>(len) / 2) *
                             static_cast<double>(len),
                     rate = 4.0 * pairs * shape.num_heads * shape.head_dim / us * 1e-6;
        fmt::print("{:5} {:2} bits, prompt of {:5} behind {:4}: {:8.1f} us {:6.0f} TFLOP/s {:4.0f} %\n",
                   shape.name, bits == 0 ? 16 : bits, len, before, us, rate,
                   100e12 * rate / card.roofs.bf16_flops);
      }
}

}  // namespace
}  // namespace lmdeploy::ops

int main(int argc, char** argv) {
  const std::string_view part = argc > 1 ? argv[1] : "";
  try {
    lmdeploy::ops::Card card;
    if (part != "prompts") lmdeploy::ops::bench_decode(card);
    if (part != "decode") lmdeploy::ops::bench_prompts(card);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
