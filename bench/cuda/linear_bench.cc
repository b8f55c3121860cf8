// Linear layers of a 1.8B and a 7B on a card: microseconds, GB/s of weights and the share of the read rate,
// TFLOP/s.
//   cuda_linear_bench
// Every figure is a CUDA graph of 20 products over copies of the weights that together are larger than the
// second-level cache, so each product reads them from memory; the median of ten runs.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <random>
#include <vector>

#include "card.h"
#include "ops/ops.h"

namespace lmdeploy::ops {
namespace {

constexpr int kProducts = 20;
constexpr std::int64_t kCopiesBytes = std::int64_t{256} << 20;
constexpr std::int64_t kSourceRows = 512;
constexpr std::int64_t kNumsOfTokens[] = {1, 2, 4, 8, 16, 32, 64, 128, 512};

struct LayerShape {
  const char* name;
  std::int64_t n, k;
};
constexpr LayerShape kShapes[] = {{"1.8B qkv", 4096, 2048},      {"1.8B o", 2048, 2048},
                                  {"1.8B gate_up", 16384, 2048}, {"1.8B down", 2048, 8192},
                                  {"1.8B head", 92544, 2048},    {"7B qkv", 6144, 4096},
                                  {"7B o", 4096, 4096},          {"7B gate_up", 28672, 4096},
                                  {"7B down", 4096, 14336},      {"7B head", 92544, 4096}};

Tensor random_floats(Card& card, std::int64_t rows, std::int64_t columns) {
  Tensor tensor(host_allocator(), DType::bf16, {rows, columns});
  auto* values = tensor.view().as<bf16_t>();
  for (std::int64_t i = 0; i < rows * columns; i++)
    values[i] = from_float<bf16_t>(static_cast<float>(card.rng() % 2001) * 1e-3F - 1);
  return tensor;
}

void fill_bytes(Card& card, const View& view, unsigned count) {
  auto* bytes = view.as<std::uint8_t>();
  for (std::int64_t i = 0; i < view.shape.num_elements(); i++)
    bytes[i] = static_cast<std::uint8_t>(card.rng() % count);
}

// The same few random rows again and again.
PackedMatrix random_matrix(Card& card, const MatrixFormat& format, const LayerShape& shape) {
  PackedMatrix matrix = make_packed_matrix(card.ctx, format, shape.n, shape.k);
  const auto for_rows = [&](const auto& pack) {
    for (std::int64_t row = 0; row < shape.n; row += kSourceRows)
      pack(row, std::min(kSourceRows, shape.n - row));
  };
  if (!format.quant) {
    const Tensor source = random_floats(card, kSourceRows, shape.k);
    for_rows([&](std::int64_t row, std::int64_t count) {
      pack_rows(card.ctx, source.view().rows(0, count), matrix, row);
    });
    return matrix;
  }
  const std::int64_t num_groups = shape.k / format.quant->group_size;
  const Tensor q(host_allocator(), DType::u8, {kSourceRows, shape.k});
  const Tensor scales(host_allocator(), DType::f32, {kSourceRows, num_groups});
  const Tensor zeros(host_allocator(), DType::u8, {kSourceRows, num_groups});
  fill_bytes(card, q, 1U << format.quant->bits);
  fill_bytes(card, zeros, 1U << format.quant->bits);
  std::fill_n(scales.view().as<float>(), kSourceRows * num_groups, 0.01F);
  for_rows([&](std::int64_t row, std::int64_t count) {
    pack_quantized_rows(card.ctx,
                        {q.view().rows(0, count), scales.view().rows(0, count), zeros.view().rows(0, count)},
                        matrix, row);
  });
  return matrix;
}

std::vector<PackedMatrix> copies_of(Card& card, PackedMatrix first) {
  std::vector<PackedMatrix> all;
  all.push_back(std::move(first));
  const std::int64_t bytes = all.front().bytes(),
                     count = std::min<std::int64_t>(kProducts, kCopiesBytes / bytes + 1);
  while (static_cast<std::int64_t>(all.size()) < count) {
    all.push_back(make_packed_matrix(card.ctx, all.front().format, all.front().n, all.front().k));
    CUDA_CHECK(cudaMemcpyAsync(all.back().data.view().data, all.front().data.view().data,
                               static_cast<std::size_t>(bytes), cudaMemcpyDeviceToDevice, card.stream()));
  }
  card.wait();
  return all;
}

void measure(Card& card, const LayerShape& shape, const char* format_name, const MatrixFormat& format) {
  const std::vector<PackedMatrix> weights = copies_of(card, random_matrix(card, format, shape));
  for (const std::int64_t m : kNumsOfTokens) {
    const Tensor host_x = random_floats(card, m, shape.k);
    const Tensor x(cuda::device_allocator(), DType::bf16, {m, shape.k}),
        y(cuda::device_allocator(), DType::f32, {m, shape.n});
    copy_from_host(card.ctx, host_x, x);
    const auto products = [&] {
      for (std::size_t i = 0; i < kProducts; i++) linear(card.ctx, x, weights[i % weights.size()], y);
    };
    const double seconds = card.graph_us(products) * 1e-6 / kProducts;
    const double bytes_per_s = static_cast<double>(weights.front().bytes()) / seconds;
    const double flops = 2 * static_cast<double>(m * shape.n * shape.k) / seconds;
    fmt::print(
        "{:13} {:5} m {:3}: {:9.2f} us  {:5.0f} GB/s = {:4.2f} of read  {:6.1f} TFLOP/s = {:4.2f} of peak\n",
        shape.name, format_name, m, seconds * 1e6, bytes_per_s * 1e-9,
        bytes_per_s / card.roofs.read_bytes_per_s, flops * 1e-12, flops / card.roofs.bf16_flops);
  }
}

void run() {
  Card card;
  fmt::print("read {:.0f} GB/s, bf16 {:.0f} TFLOP/s\n", card.roofs.read_bytes_per_s * 1e-9,
             card.roofs.bf16_flops * 1e-12);
  for (const LayerShape& shape : kShapes) {
    measure(card, shape, "bf16", {DType::bf16});
    measure(card, shape, "W4", {DType::bf16, QuantFormat{4, 128, DType::f16}});
    measure(card, shape, "FP8", {DType::bf16, QuantFormat{8, 128, DType::bf16, WeightCode::e4m3}});
  }
}

}  // namespace
}  // namespace lmdeploy::ops

int main() {
  try {
    lmdeploy::ops::run();
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
