// Ctx::deterministic: right, and one row's bits whatever is computed with it.
#include <algorithm>

#include "cuda/linear_fixture.h"
#include "ops/quantized_tensors.h"

namespace lmdeploy::ops {
namespace {

class CudaDeterministicLinear : public QuantizedTensors<CudaLinearTest> {
 protected:
  void SetUp() override {
    QuantizedTensors<CudaLinearTest>::SetUp();
    ctx.deterministic = true;
  }

  // reference_rows: up to so many rows at once are held against the reference, which takes its time.
  void check(const MatrixFormat& format, std::int64_t n, std::int64_t k, std::int64_t reference_rows = 200) {
    const std::int64_t most = std::ranges::max(kNumsOfTokens);
    const Tensor x = random(format.dtype, most, k);
    const View checked = x.view().rows(0, reference_rows);
    PackedMatrix packed;
    ref::Matrix product(0, 0);
    if (format.quant) {
      const Weights w = random_weights(*format.quant, n, k);
      packed = pack(format, w);
      product = ref::linear(met_by_weights(checked, format), w.values(), {});
    } else {
      const Tensor w = random(format.dtype, n, k);
      packed = make_packed_matrix(ctx, format, n, k);
      pack_rows(ctx, w, packed, 0);
      product = ref::linear(matrix(checked), matrix(w), {});
    }
    const std::string what = fmt::format("{}, {} bits, [{}] x [{}]", dtype_name(format.dtype),
                                         format.quant ? format.quant->bits : 16, k, n);
    for (const std::int64_t m : kNumsOfTokens) {
      if (m > reference_rows) break;
      const Strided rows = upload_strided(x.view().rows(0, m));
      check_linear(rows.view, packed, rows_of(product, m), tolerance(format),
                   fmt::format("{}, {} rows", what, m));
    }
    const Tensor device_x = upload(x);
    check_company(device_x, packed, {1, 2, 7, 8, 9, 16, 17, 32, 33, 63, 64, 65, 128, 129, 200}, what);
  }
};

// One slice and several, with whole steps of 64 inputs and without; k that tensor cores cannot take.
TEST_F(CudaDeterministicLinear, OfFloats) {
  const std::pair<std::int64_t, std::int64_t> shapes[] = {{1, 8},     {65, 64},    {64, 1000}, {130, 1032},
                                                          {33, 2048}, {200, 5000}, {40, 575},  {77, 31}};
  for (const DType dtype : kFloatTypes)
    for (const auto& [n, k] : shapes) check({dtype}, n, k);
}

// Tiles enough that a block goes over all slices, and with more rows not enough.
TEST_F(CudaDeterministicLinear, OfManyOutputs) {
  for (const std::int64_t n : {9000, 27000}) check({DType::bf16}, n, 1096, 3);
}

TEST_F(CudaDeterministicLinear, OfIntegers) {
  const std::pair<std::int64_t, std::int64_t> groups[] = {{32, 96}, {64, 576}, {128, 4096}, {100, 300}};
  for (const auto& [group_size, k] : groups)
    for (const std::int32_t bits : {4, 8})
      for (const DType dtype : kFloatTypes)
        for (const Activations activations : kActivations)
          check({dtype, QuantFormat{bits, group_size, DType::f16}, activations}, 97, k);
}

TEST_F(CudaDeterministicLinear, OfIntegersWithManyOutputs) {
  check({DType::bf16, QuantFormat{4, 128, DType::f16}}, 5000, 2048, 3);
  check({DType::bf16, QuantFormat{8, 128, DType::f16}, Activations::int8_per_row}, 5000, 2048, 3);
}

}  // namespace
}  // namespace lmdeploy::ops
