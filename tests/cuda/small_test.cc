// Every family of kernels that shares memory between threads, once, as small as it gets: for tools that take
// a hundred times as long (tools/sanitize_cuda.sh). What is right at every size the other tests say.
#include "cuda/attention_fixture.h"
#include "cuda/linear_fixture.h"
#include "ops/quantized_tensors.h"

namespace lmdeploy::ops {
namespace {

class CudaSmallLinear : public QuantizedTensors<CudaLinearTest> {
 protected:
  void check(const MatrixFormat& format, std::int64_t n, std::int64_t k,
             std::initializer_list<std::int64_t> nums_of_rows) {
    const Tensor x = random(format.dtype, std::max(nums_of_rows), k);
    PackedMatrix packed;
    ref::Matrix product(0, 0), product_of_rounded(0, 0);
    if (format.quant) {
      const Weights w = random_weights(*format.quant, n, k);
      packed = pack(format, w);
      product = ref::linear(met_by_weights(x, format), w.values(), {});
      product_of_rounded = ref::linear(met_by_weights(x, format), rounded_to(format.dtype, w.values()), {});
    } else {
      const Tensor w = random(format.dtype, n, k);
      packed = make_packed_matrix(ctx, format, n, k);
      pack_rows(ctx, w, packed, 0);
      product = ref::linear(matrix(x), matrix(w), {});
    }
    const Tensor device_x = upload(x);
    for (const std::int64_t m : nums_of_rows) {
      const bool rounds = format.quant && !ctx.deterministic && rounds_weights(format, m, n, k);
      check_linear(device_x.view().rows(0, m), packed, rows_of(rounds ? product_of_rounded : product, m),
                   Tolerance::kernel(), name(format, m, n, k));
    }
  }
  static std::string name(const MatrixFormat& format, std::int64_t m, std::int64_t n, std::int64_t k) {
    return fmt::format("{}, {} bits: [{}, {}] x [{}, {}]", dtype_name(format.dtype),
                       format.quant ? format.quant->bits : 16, m, k, n, k);
  }
};

TEST_F(CudaSmallLinear, OfFloats) {
  check({DType::bf16}, 40, 136, {1, 7});
  check({DType::f32}, 17, 33, {3});
}

TEST_F(CudaSmallLinear, OfFloatsByCublas) {
  check({DType::bf16}, 40, 136, {9});
}

TEST_F(CudaSmallLinear, OfIntegers) {
  for (const std::int32_t bits : {4, 8})
    for (const std::int64_t group_size : {32, 128})
      check({DType::bf16, QuantFormat{bits, group_size, DType::f16}}, 40, 512, {1, 7, 12, 20, 40});
  check({DType::f16, QuantFormat{4, 30, DType::f32}, Activations::int8_per_row}, 20, 90, {5});
}

TEST_F(CudaSmallLinear, Deterministic) {
  ctx.deterministic = true;
  check({DType::bf16}, 70, 1096, {1, 12, 70});
  check({DType::bf16, QuantFormat{4, 128, DType::f16}}, 40, 512, {1, 20});
}

class CudaSmallAttention : public CudaAttentionTest {
 protected:
  void check(DType dtype, std::int32_t quant_bits) {
    make_cache(dtype, {4, 2, 64}, 64, 8, quant_bits);
    const Sequence seq = make_sequence(150), other = make_sequence(70);
    store({{&seq, 0, 150}, {&other, 0, 70}});
    const std::vector<Part> batches[] = {{{&seq, 149, 150}, {&other, 69, 70}},
                                         {{&seq, 100, 150}, {&other, 69, 70}}};
    for (const auto& parts : batches) expect_reference(attend(parts), parts, cache_name());
  }
  void check_all() {
    for (const std::int32_t bits : {0, 8, 4}) check(DType::bf16, bits);
  }
};

TEST_F(CudaSmallAttention, OfPromptsAndTokens) {
  check_all();
  check(DType::f32, 0);
}

TEST_F(CudaSmallAttention, Deterministic) {
  ctx.deterministic = true;
  check_all();
}

}  // namespace
}  // namespace lmdeploy::ops
