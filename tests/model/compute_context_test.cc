#include "model/compute_context.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <string>
#include <vector>

#include "base/error.h"
#include "ops/dispatch.h"
#include "ops/ops.h"

namespace lmdeploy {
namespace {

TEST(ComputeContext, OfTheCpuHasAllThatOpsNeed) {
  ComputeContext compute(Device::cpu, 2, 1 << 20);
  const Ctx& ctx = compute.ctx();
  EXPECT_EQ(ctx.device, Device::cpu);
  EXPECT_EQ(ctx.pool->num_threads(), 2);
  EXPECT_EQ(ctx.allocator, &host_allocator());
  EXPECT_EQ(ctx.workspace->reserved_bytes(), std::size_t{1} << 20);
  EXPECT_TRUE(compute.works());
}

TEST(ComputeContext, OfACardWithoutTheBuildSaysHowToGetIt) {
  if (ops::kHasCuda) GTEST_SKIP() << "this build has it";
  EXPECT_THAT(find_cards().reason, testing::HasSubstr("make cuda"));
  try {
    const ComputeContext compute(Device::cuda);
    FAIL() << "there is a card";
  } catch (const Error& error) {
    EXPECT_THAT(error.problem(), testing::HasSubstr("make cuda"));
    EXPECT_THAT(error.remedy(), testing::HasSubstr("--device cpu"));
  }
}

TEST(Copy, GoesThereAndBack) {
  ComputeContext compute(Device::cpu, 2);
  const Shape shape{1000, 777};  // several pieces
  const Tensor from(host_allocator(), DType::i32, shape), there(*compute.ctx().allocator, DType::i32, shape),
      back(host_allocator(), DType::i32, shape);
  auto* const values = from.view().as<std::int32_t>();
  std::iota(values, values + shape.num_elements(), 0);
  ops::copy_from_host(compute.ctx(), from, there);
  ops::copy_to_host(compute.ctx(), there, back);
  EXPECT_TRUE(std::equal(values, values + shape.num_elements(), back.view().as<std::int32_t>()));
  EXPECT_THROW(ops::copy_to_host(compute.ctx(), there, back.view().rows(0, 10)), CheckFailure);
  EXPECT_THROW(ops::copy_from_host(compute.ctx(), from.view().columns(0, 5), there.view().columns(0, 5)),
               CheckFailure);
}

}  // namespace
}  // namespace lmdeploy
