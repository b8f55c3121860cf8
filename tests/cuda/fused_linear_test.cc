#include <algorithm>
#include <cstring>

#include "cuda/linear_fixture.h"
#include "ops/quantized_tensors.h"

namespace lmdeploy::ops {
namespace {

constexpr float kEps = 1e-5F;

// Against the ops that are fused: bit for bit, except where gate and up are rounded in between.
class CudaFusedLinearTest : public QuantizedTensors<CudaLinearTest> {
 protected:
  struct Layer {
    PackedMatrix packed;
    ref::Matrix values{0, 0};
    Tensor norm_weight, bias;

    InputNorm norm() const { return {norm_weight, kEps}; }
  };

  Layer random_layer(const MatrixFormat& format, std::int64_t n, std::int64_t k) {
    Layer layer;
    if (format.quant) {
      const Weights w = random_weights(*format.quant, n, k);
      layer.packed = pack(format, w);
      layer.values = w.values();
    } else {
      const Tensor w = random(format.dtype, n, k, 0.1);
      layer.packed = make_packed_matrix(ctx, format, n, k);
      pack_rows(ctx, w, layer.packed, 0);
      layer.values = matrix(w);
    }
    layer.norm_weight = upload_row(random(DType::f32, 1, k));
    layer.bias = upload_row(random(DType::f32, 1, n));
    return layer;
  }

  Tensor upload_row(const View& row) { return upload(View(row.data, row.dtype, {row.dim(1)})); }

  Tensor normed_rows(const View& x, const Layer& layer) {
    Tensor normed = poisoned(layer.packed.dtype(), x.shape);
    rms_norm(ctx, x, layer.norm_weight, kEps, normed);
    return normed;
  }

  void expect_equal_bits(const View& actual, const View& expected, const std::string& what) {
    const Tensor a = download(actual), e = download(expected);
    for (std::int64_t i = 0; i < a.view().shape.num_elements(); i++)
      ASSERT_EQ(get(a, i), get(e, i)) << what << " at " << i;
  }

  void check_normed(const MatrixFormat& format, std::int64_t n, std::int64_t k) {
    const Layer layer = random_layer(format, n, k);
    for (const std::int64_t m : kNumsOfRows) {
      const Strided x = upload_strided(random(DType::f32, m, k, 3));
      const Tensor before = random(DType::f32, m, n);
      const Tensor actual = upload(before), expected = upload(before), normed = normed_rows(x.view, layer);
      LinearOptions options;
      if (rng() % 2 == 0) options.bias = layer.bias;
      options.accumulate = rng() % 2 == 0;
      linear(ctx, normed, layer.packed, expected, options);
      normed_linear(ctx, x.view, layer.norm(), layer.packed, actual, options);
      expect_equal_bits(actual, expected, name_of(format, m, n, k));
    }
  }

  // n: of the activated outputs.
  void check_swiglu(const MatrixFormat& format, std::int64_t n, std::int64_t k) {
    const Layer layer = random_layer(format, 2 * n, k);
    for (const std::int64_t m : kNumsOfRows) {
      const Strided x = upload_strided(random(DType::f32, m, k, 3));
      const Slice actual = slice(format.dtype, m, n, 8);
      const Tensor expected = poisoned(format.dtype, {m, n}), gate_up = poisoned(DType::f32, {m, 2 * n}),
                   normed = normed_rows(x.view, layer);
      const View bias = rng() % 2 == 0 ? View(layer.bias) : View();
      normed_swiglu(ctx, x.view, layer.norm(), layer.packed, bias, actual.view);
      linear(ctx, normed, layer.packed, gate_up, {.bias = bias});
      silu_mul(ctx, gate_up, expected);
      const std::string what = name_of(format, m, n, k);
      if (rounds_between(layer.packed, m, bias)) {
        expect_result(actual, ref::silu_mul(matrix(download(gate_up))), 3 * Tolerance::result(format.dtype),
                      what);
      } else {
        expect_equal_bits(actual.view, expected, what);
        expect_poison_around(actual.whole, actual.lead, n, what);
      }
    }
  }

  // Gate and up of many rows as cuBLASLt gives them.
  static bool rounds_between(const PackedMatrix& w, std::int64_t m, const View& bias) {
    const std::int64_t max_unrounded = !w.format.quant ? 8 : has_hopper_gemm(w.format, w.n, w.k) ? 256 : 128;
    return w.dtype() != DType::f32 && bias.empty() && m > max_unrounded &&
           w.format.activations == Activations::as_they_are;
  }

  static std::string name_of(const MatrixFormat& format, std::int64_t m, std::int64_t n, std::int64_t k) {
    if (format.quant) return name(format, m, n, k);
    return fmt::format("{} [{}, {}] x [{}, {}]", dtype_name(format.dtype), m, k, n, k);
  }

  static constexpr std::int64_t kNumsOfRows[] = {1, 2, 3, 4, 5, 8, 9, 64, 130, 257};
};

// Rows of one warp, of a few, of all warps once and twice, and longer than a block holds.
TEST_F(CudaFusedLinearTest, NormBeforeFloats) {
  for (const DType dtype : kFloatTypes)
    for (const std::int64_t k : {8, 36, 264, 576, 2048, 4096, 8192, 8200}) check_normed({dtype}, 33, k);
  check_normed({DType::bf16}, 5003, 576);
}

TEST_F(CudaFusedLinearTest, NormBeforeIntegers) {
  const std::pair<std::int64_t, std::int64_t> groups[] = {{32, 96},     {64, 576},   {128, 2048},
                                                          {128, 8192},  {100, 300},  {256, 1024},
                                                          {4096, 4096}, {128, 8320}, {30, 240}};
  for (const auto& [group_size, k] : groups)
    for (const std::int32_t bits : {4, 8})
      for (const DType scale_dtype : kFloatTypes)
        check_normed({bits == 4 ? DType::bf16 : DType::f16, QuantFormat{bits, group_size, scale_dtype}}, 49,
                     k);
  check_normed({DType::f16, QuantFormat{4, 128, DType::f16}}, 4500, 512);
  for (const Activations activations : {Activations::int8_per_group, Activations::int8_per_row})
    check_normed({DType::bf16, QuantFormat{8, 128, DType::f32}, activations}, 40, 512);
}

// Tiles of 16 outputs and what is left of one, fewer and more of them than a card has multiprocessors.
TEST_F(CudaFusedLinearTest, SwigluOfFloats) {
  for (const DType dtype : kFloatTypes)
    for (const std::int64_t n : {1, 16, 24, 80}) check_swiglu({dtype}, n, 576);
  check_swiglu({DType::bf16}, 4304, 264);
  check_swiglu({DType::bf16}, 64, 4096);
  check_swiglu({DType::f16}, 32, 8200);
}

TEST_F(CudaFusedLinearTest, SwigluOfIntegers) {
  for (const std::int32_t bits : {4, 8})
    for (const std::int64_t n : {16, 24, 176}) {
      check_swiglu({DType::bf16, QuantFormat{bits, 128, DType::f16}}, n, 2048);
      check_swiglu({DType::bf16, QuantFormat{bits, 32, DType::bf16}}, n, 192);
    }
  check_swiglu({DType::f16, QuantFormat{4, 128, DType::f32}}, 4304, 256);
  check_swiglu({DType::bf16, QuantFormat{4, 100, DType::f16}}, 32, 300);
  for (const Activations activations : {Activations::int8_per_group, Activations::int8_per_row})
    check_swiglu({DType::bf16, QuantFormat{8, 512, DType::f32}, activations}, 48, 512);
}

TEST_F(CudaFusedLinearTest, NoRowsIsNoWork) {
  const Layer layer = random_layer({DType::bf16}, 32, 64);
  const Tensor x = upload(random(DType::f32, 1, 64)), y = poisoned(DType::f32, {1, 32}),
               activated = poisoned(DType::bf16, {1, 16});
  normed_linear(ctx, x.view().rows(0, 0), layer.norm(), layer.packed, y.view().rows(0, 0));
  normed_swiglu(ctx, x.view().rows(0, 0), layer.norm(), layer.packed, {}, activated.view().rows(0, 0));
  expect_poison_around(y, 0, 0, "no rows");
  expect_poison_around(activated, 0, 0, "no rows");
}

}  // namespace
}  // namespace lmdeploy::ops
