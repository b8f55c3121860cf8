#include "ops/weight_rounding.h"

#include "cuda/cuda_fixture.h"

namespace lmdeploy::ops {
namespace {

class CudaWeightRoundingTest : public CudaOpsTest, protected WeightRoundingChecks {
 protected:
  using Random = WeightRoundingChecks;

  // Of the CPU: the same operations in the same order.
  Tensor cpu_errors(const View& w, const View& scales, const RoundingOptions& options) {
    Tensor errors(host_allocator(), DType::f32, w.shape);
    scaled_rounding_errors(cpu_, w, scales, options, errors);
    return errors;
  }

 private:
  ThreadPool pool_{1};
  Ctx cpu_{.pool = &pool_};
};

TEST_F(CudaWeightRoundingTest, ErrorsAreTheCpusBitForBit) {
  for (const std::int64_t group_size : {1, 8, 31, 32, 33, 64, 96, 128, 300})
    for (const RoundingOptions& options : all_rounding_options(group_size)) {
      const std::int64_t n = 19, k = 3 * group_size;
      const Tensor w = make_weights(n, k, group_size), scales = Random::random(DType::f32, 1, k);
      for (std::int64_t i = 0; i < k; i++) Random::set(scales, i, 0.5F + std::abs(Random::get(scales, i)));
      const View host_scales(scales.view().data, DType::f32, {k});
      const Tensor device_scales = upload(scales);
      const Slice device_w = slice_of(w, 3);
      for (const DType dtype : kFloatTypes) {
        const Slice errors = slice(dtype, n, k, 5);
        scaled_rounding_errors(ctx, device_w.view, {device_scales.view().data, DType::f32, {k}}, options,
                               errors.view);
        const Tensor actual = download(errors.view);
        expect_rounding_errors(actual, w, scales, options);
        expect_poison_around(errors.whole, errors.lead, k, "errors");
        if (dtype != DType::f32) continue;
        const Tensor expected = cpu_errors(w, host_scales, options);
        ASSERT_EQ(std::memcmp(actual.view().data, expected.view().data,
                              static_cast<std::size_t>(expected.view().bytes())),
                  0)
            << "groups of " << group_size;
      }
    }
}

TEST_F(CudaWeightRoundingTest, WhatIsNoNumberShows) {
  const Tensor w = Random::random(DType::f32, 2, 32), scales = Random::zeros(DType::f32, 1, 32);
  for (std::int64_t i = 0; i < 32; i++) Random::set(scales, i, 1);
  Random::set(w, 7, std::nanf(""));
  Random::set(w, 40, 1e30F);  // more than a float16 scale can span
  const Tensor device_w = upload(w), device_scales = upload(scales), errors = poisoned(DType::f32, {2, 32});
  scaled_rounding_errors(ctx, device_w, {device_scales.view().data, DType::f32, {32}},
                         rounding_options(32, 4, false, DType::f16, 0), errors);
  const Tensor actual = download(errors);
  EXPECT_TRUE(std::isnan(Random::get(actual, 7)));
  EXPECT_FALSE(std::isnan(Random::get(actual, 8)));
  EXPECT_TRUE(std::isnan(Random::get(actual, 32)));
}

// Both edges of every number of columns that a lane may have, and of the rows of a block.
TEST_F(CudaWeightRoundingTest, ClipsErrLeast) {
  for (const std::int64_t group_size : {1, 8, 31, 32, 33, 64, 65, 128, 129, 256})
    for (const RoundingOptions& options : all_rounding_options(group_size))
      for (const std::int64_t n : {3, 65}) {
        if (n == 65 && group_size > 64) continue;  // the reference takes its time
        const std::int64_t k = 2 * group_size;
        const Tensor w = make_weights(n, k, group_size), grams = make_grams(k, group_size);
        const Slice device_w = slice_of(w, 3), device_grams = slice_of(grams, 1);
        const Tensor choices = poisoned(DType::u8, {n, 2});
        choose_clipping(ctx, device_w.view, device_grams.view, options, choices);
        Tensor host(host_allocator(), DType::u8, {n, 2});
        copy_to_host(ctx, choices, host);
        expect_choices(host, w, grams, options);
      }
}

TEST_F(CudaWeightRoundingTest, AmongEqualsTheLargestShareIsChosen) {
  const Tensor w = make_weights(70, 256, 128), grams = Random::zeros(DType::f32, 256, 128);
  const Tensor device_w = upload(w), device_grams = upload(grams), choices = poisoned(DType::u8, {70, 2});
  choose_clipping(ctx, device_w, device_grams, rounding_options(128, 4, false, DType::f16, 0), choices);
  Tensor host(host_allocator(), DType::u8, {70, 2});
  copy_to_host(ctx, choices, host);
  for (int i = 0; i < 140; i++) EXPECT_EQ(host.view().as<std::uint8_t>()[i], 0);
}

}  // namespace
}  // namespace lmdeploy::ops
