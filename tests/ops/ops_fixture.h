#pragma once
#include <string>

#include "ops/float_tensors.h"
#include "ops/ops.h"

namespace lmdeploy::ops {

// A CPU with a fixed number of threads and one instruction set; skipped where the machine lacks it.
class OpsTest : public testing::TestWithParam<CpuIsa>, protected FloatTensors {
 protected:
  void SetUp() override {
    if (GetParam() > best_cpu_isa()) GTEST_SKIP() << "this machine has no " << cpu_isa_name(GetParam());
    ctx.cpu_isa = GetParam();
    ctx.pool = &pool;
    ctx.allocator = &host_allocator();
    ctx.workspace = &workspace;
  }

  // linear() of x [m, k] against `product`, x W^T: with a bias or without, adding or not, at random, and into
  // the middle of a wider y, whose borders it must leave alone.
  void check_linear(const View& x, const PackedMatrix& w, ref::Matrix product, const std::string& what) {
    const std::int64_t m = x.dim(0), n = w.n;
    const Tensor y = random(DType::f32, m, n + 5), bias = random(DType::f32, 1, n);
    const ref::Matrix before = matrix(y), biases = matrix(bias);
    LinearOptions options;
    if (rng() % 2 == 0) options.bias = View(bias.view().data, DType::f32, {n});
    options.accumulate = rng() % 2 == 0;
    for (std::int64_t r = 0; r < m; r++)
      for (std::int64_t c = 0; c < n; c++)
        product.at(r, c) +=
            (options.bias.empty() ? 0 : biases.at(0, c)) + (options.accumulate ? before.at(r, c + 2) : 0);
    const View y_view = y.view().columns(2, n);

    linear(ctx, x, w, y_view, options);

    expect_close(y_view, product, Tolerance::kernel(), what);
    const ref::Matrix after = matrix(y);
    for (std::int64_t r = 0; r < m; r++)
      for (const std::int64_t c : {std::int64_t{0}, std::int64_t{1}, n + 2, n + 4})
        ASSERT_EQ(after.at(r, c), before.at(r, c)) << what << ": wrote outside y";
  }

  ThreadPool pool{3};
  Workspace workspace{host_allocator()};
  Ctx ctx;
};

inline std::string isa_test_name(const testing::TestParamInfo<CpuIsa>& info) {
  constexpr const char* kNames[] = {"generic", "avx2", "avx512_bf16", "amx_bf16"};
  return kNames[static_cast<int>(info.param)];
}

#define INSTANTIATE_FOR_ISAS(suite)                                                                      \
  INSTANTIATE_TEST_SUITE_P(                                                                              \
      Isa, suite, testing::Values(CpuIsa::generic, CpuIsa::avx2, CpuIsa::avx512_bf16, CpuIsa::amx_bf16), \
      isa_test_name)

}  // namespace lmdeploy::ops
