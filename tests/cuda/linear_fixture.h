#pragma once
#include <cstring>
#include <string>

#include "cuda/cuda_fixture.h"
#include "ops/cuda/hopper_gemm_kernel.h"
#include "ops/cuda/quantized_matrix.h"

namespace lmdeploy::ops {

// Both sides of every number of tokens at which another kernel takes over.
inline constexpr std::int64_t kNumsOfTokens[] = {1,  2,  3,  4,  5,  7,  8,   9,   16,
                                                 17, 31, 32, 33, 64, 65, 128, 129, 200};

class CudaLinearTest : public CudaOpsTest {
 protected:
  // The first `m` rows of a reference.
  static ref::Matrix rows_of(const ref::Matrix& all, std::int64_t m) {
    ref::Matrix result(m, all.num_columns);
    std::copy_n(all.values.begin(), result.values.size(), result.values.begin());
    return result;
  }

  static bool has_hopper_gemm(const MatrixFormat& format, std::int64_t n, std::int64_t k) {
    return cuda::has_hopper_gemm(cuda::quantized_layout(format, n, k));
  }
  // Whether m rows meet quantised weights rounded to x's type. Inputs that are rounded per group come as two
  // rows each.
  static bool rounds_weights(const MatrixFormat& format, std::int64_t m, std::int64_t n, std::int64_t k) {
    constexpr std::int64_t kMaxQuantizedTokens = 128;
    const std::int64_t num_rows = format.activations == Activations::int8_per_group ? 2 * m : m;
    if (format.dtype == DType::f32) return false;
    return num_rows > kMaxQuantizedTokens ||
           (num_rows >= cuda::kMinHopperTokens && has_hopper_gemm(format, n, k));
  }
  // Inputs rounded per group are sums of two bf16: 16 bits of them are kept.
  static double tolerance(const MatrixFormat& format) {
    const bool is_sum_of_two =
        format.activations == Activations::int8_per_group && format.dtype == DType::bf16;
    return is_sum_of_two ? 3 * Tolerance::kernel() : Tolerance::kernel();
  }
  static ref::Matrix rounded_to(DType dtype, ref::Matrix values) {
    for (double& value : values.values) {
      const auto x = static_cast<float>(value);
      value = static_cast<double>(dtype == DType::bf16  ? to_float(from_float<bf16_t>(x))
                                  : dtype == DType::f16 ? to_float(from_float<f16_t>(x))
                                                        : x);
    }
    return values;
  }

  // linear() of x [m, k] on the card against `product`, x W^T: with a bias or without, adding or not, at
  // random, and into the middle of a wider y, whose borders it must leave alone.
  void check_linear(const View& x, const PackedMatrix& w, ref::Matrix product, double tolerance,
                    const std::string& what) {
    const std::int64_t m = x.dim(0), n = w.n, first = static_cast<std::int64_t>(rng() % 5);
    const Tensor before = random(DType::f32, m, n + 5), bias = random(DType::f32, 1, n);
    const Tensor y = upload(before), device_bias = upload(bias);
    LinearOptions options;
    if (rng() % 2 == 0) options.bias = View(device_bias.view().data, DType::f32, {n});
    options.accumulate = rng() % 2 == 0;
    for (std::int64_t r = 0; r < m; r++)
      for (std::int64_t c = 0; c < n; c++) {
        if (!options.bias.empty()) product.at(r, c) += static_cast<double>(get(bias, c));
        if (options.accumulate) product.at(r, c) += static_cast<double>(get(before, r * (n + 5) + c + first));
      }

    linear(ctx, x, w, y.view().columns(first, n), options);

    const Tensor after = download(y);
    expect_close(after.view().columns(first, n), product, tolerance, what);
    for (std::int64_t r = 0; r < m; r++)
      for (std::int64_t c = 0; c < n + 5; c++) {
        if (c >= first && c < first + n) continue;
        ASSERT_EQ(get(after, r * (n + 5) + c), get(before, r * (n + 5) + c)) << what << ": wrote outside y";
      }
  }

  // Rows of x on the card with a gap between them, which begin at any element.
  struct Strided {
    Tensor memory;
    View view;
  };
  Strided upload_strided(const View& host) {
    const std::int64_t k = host.dim(1), first = rng() % 2 == 0 ? 0 : static_cast<std::int64_t>(rng() % 9);
    const Tensor wide = random(host.dtype, host.dim(0), k + 16);
    for (std::int64_t r = 0; r < host.dim(0); r++)
      for (std::int64_t c = 0; c < k; c++)
        set(wide, r * (k + 16) + first + c, get(host, r * host.row_stride + c));
    Strided result{upload(wide), {}};
    result.view = result.memory.view().columns(first, k);
    return result;
  }

  // An output's bits do not depend on how many rows are computed with it, as long as one kernel computes
  // them.
  void check_company(const View& x, const PackedMatrix& w, std::initializer_list<std::int64_t> nums_of_rows,
                     const std::string& what) {
    const std::int64_t max_rows = std::max(nums_of_rows);
    const Tensor all = poisoned(DType::f32, {max_rows, w.n}), some = poisoned(DType::f32, {max_rows, w.n});
    linear(ctx, x.rows(0, max_rows), w, all);
    const Tensor expected = download(all);
    for (const std::int64_t m : nums_of_rows) {
      const std::int64_t first = max_rows - m;
      linear(ctx, x.rows(first, m), w, some.view().rows(0, m));
      const Tensor actual = download(some);
      ASSERT_EQ(std::memcmp(actual.view().row<float>(0), expected.view().row<float>(first),
                            static_cast<std::size_t>(m * w.n) * sizeof(float)),
                0)
          << what << ": " << m << " rows";
    }
  }
};

}  // namespace lmdeploy::ops
