// Linear layers of a 1.8B and a 7B on a card, as the decoder calls them: microseconds, GB/s of weights and
// the share of the read rate, TFLOP/s and the share of the peak. "layer": all four of a layer one after
// another.
//   cuda_linear_bench [1.8B|7B [bf16|W4|FP8]]
// Every figure is a CUDA graph of 20 products, or 8 layers, over copies of the weights that together are
// larger than the second-level cache, so each product reads them from memory; the median of ten runs.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <random>
#include <string_view>
#include <utility>
#include <vector>

#include "card.h"
#include "ops/ops.h"

namespace lmdeploy::ops {
namespace {

constexpr int kProducts = 20, kLayers = 8;
constexpr std::int64_t kCopiesBytes = std::int64_t{256} << 20;
constexpr std::int64_t kSourceRows = 512;
constexpr std::int64_t kNumsOfTokens[] = {1, 2, 4, 8, 16, 32, 64, 128, 1024};
constexpr std::int64_t kMaxHeadTokens = 128;

// What goes with a product: the norm before it, the norm and SwiGLU behind, the sum with the residual.
enum class With { norm, swiglu, residual };

struct LayerShape {
  const char* name;
  std::int64_t n, k;
  With with;
};
struct ModelShape {
  const char* name;
  LayerShape layer[4], head;
};
constexpr ModelShape kModels[] = {{"1.8B",
                                   {{"qkv", 4096, 2048, With::norm},
                                    {"o", 2048, 2048, With::residual},
                                    {"gate_up", 16384, 2048, With::swiglu},
                                    {"down", 2048, 8192, With::residual}},
                                   {"head", 92544, 2048, With::norm}},
                                  {"7B",
                                   {{"qkv", 6144, 4096, With::norm},
                                    {"o", 4096, 4096, With::residual},
                                    {"gate_up", 28672, 4096, With::swiglu},
                                    {"down", 4096, 14336, With::residual}},
                                   {"head", 92544, 4096, With::norm}}};

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

// The copies of a product's weights, with what it reads and writes.
class Product {
 public:
  Product(Card& card, const LayerShape& shape, const MatrixFormat& format)
      : shape_(shape), weights_(copies_of(card, random_matrix(card, format, shape))) {
    const Tensor norm = random_floats(card, 1, shape.k), norm_f32(host_allocator(), DType::f32, {shape.k});
    for (std::int64_t i = 0; i < shape.k; i++)
      norm_f32.view().as<float>()[i] = to_float(norm.view().as<bf16_t>()[i]);
    norm_ = Tensor(cuda::device_allocator(), DType::f32, {shape.k});
    copy_from_host(card.ctx, norm_f32, norm_);
  }

  void set_rows(Card& card, std::int64_t m) {
    const Tensor x = random_floats(card, m, shape_.k);
    x_ = Tensor(cuda::device_allocator(), DType::bf16, {m, shape_.k});
    residual_ = Tensor(cuda::device_allocator(), DType::f32, {m, shape_.k});
    copy_from_host(card.ctx, x, x_);
    cast(card.ctx, x_, residual_);
    const bool gates = shape_.with == With::swiglu;
    y_ = Tensor(cuda::device_allocator(), gates ? DType::bf16 : DType::f32,
                {m, gates ? shape_.n / 2 : shape_.n});
    if (!gates) CUDA_CHECK(cudaMemsetAsync(y_.view().data, 0, bytes_of(y_), card.stream()));
    card.wait();
  }

  void run(Card& card, int copy) const {
    const PackedMatrix& w = weights_[static_cast<std::size_t>(copy) % weights_.size()];
    const InputNorm norm{norm_, 1e-5F};
    switch (shape_.with) {
      case With::norm:
        return normed_linear(card.ctx, residual_, norm, w, y_);
      case With::swiglu:
        return normed_swiglu(card.ctx, residual_, norm, w, {}, y_);
      case With::residual:
        return linear(card.ctx, x_, w, y_, {.bias = {}, .accumulate = true});
    }
  }

  const char* name() const { return shape_.name; }
  double bytes() const { return static_cast<double>(weights_.front().bytes()); }
  double flops() const { return 2 * static_cast<double>(shape_.n * shape_.k); }  // of a token

 private:
  static std::size_t bytes_of(const View& view) { return static_cast<std::size_t>(view.bytes()); }

  LayerShape shape_;
  std::vector<PackedMatrix> weights_;
  Tensor norm_, x_, residual_, y_;
};

void report(const Card& card, const char* model, const char* name, const char* format, std::int64_t m,
            double us, double bytes, double flops) {
  const double bytes_per_s = bytes / (us * 1e-6), flops_per_s = static_cast<double>(m) * flops / (us * 1e-6);
  fmt::print(
      "{:4} {:8} {:4} m {:4}: {:9.2f} us  {:5.0f} GB/s = {:4.2f} of read  {:6.1f} TFLOP/s = {:4.2f} of "
      "peak\n",
      model, name, format, m, us, bytes_per_s * 1e-9, bytes_per_s / card.roofs.read_bytes_per_s,
      flops_per_s * 1e-12, flops_per_s / card.roofs.bf16_flops);
}

void measure(Card& card, const ModelShape& model, const char* format_name, const MatrixFormat& format) {
  std::vector<Product> layer;
  double bytes = 0, flops = 0;
  for (const LayerShape& shape : model.layer) {
    layer.emplace_back(card, shape, format);
    bytes += layer.back().bytes();
    flops += layer.back().flops();
  }
  Product head(card, model.head, format);
  const auto measure_one = [&](const Product& product, std::int64_t m) {
    const double us = card.graph_us([&] {
      for (int i = 0; i < kProducts; i++) product.run(card, i);
    });
    report(card, model.name, product.name(), format_name, m, us / kProducts, product.bytes(),
           product.flops());
  };
  for (const std::int64_t m : kNumsOfTokens) {
    for (Product& product : layer) {
      product.set_rows(card, m);
      measure_one(product, m);
    }
    const double us = card.graph_us([&] {
      for (int i = 0; i < kLayers; i++)
        for (const Product& product : layer) product.run(card, i);
    });
    report(card, model.name, "layer", format_name, m, us / kLayers, bytes, flops);
    if (m > kMaxHeadTokens) continue;
    head.set_rows(card, m);
    measure_one(head, m);
  }
}

// Empty: all models, all formats.
void run(std::string_view only_model, std::string_view only_format) {
  Card card;
  fmt::print("read {:.0f} GB/s, bf16 {:.0f} TFLOP/s\n", card.roofs.read_bytes_per_s * 1e-9,
             card.roofs.bf16_flops * 1e-12);
  const std::pair<const char*, MatrixFormat> formats[] = {
      {"bf16", {DType::bf16}},
      {"W4", {DType::bf16, QuantFormat{4, 128, DType::f16}}},
      {"FP8", {DType::bf16, QuantFormat{8, 128, DType::bf16, WeightCode::e4m3}}}};
  for (const ModelShape& model : kModels)
    for (const auto& [name, format] : formats)
      if ((only_model.empty() || only_model == model.name) && (only_format.empty() || only_format == name))
        measure(card, model, name, format);
}

}  // namespace
}  // namespace lmdeploy::ops

int main(int argc, char** argv) {
  try {
    lmdeploy::ops::run(argc > 1 ? argv[1] : "", argc > 2 ? argv[2] : "");
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
