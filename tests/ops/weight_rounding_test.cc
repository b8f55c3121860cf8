#include "ops/weight_rounding.h"

#include "base/error.h"
#include "ops/ops_fixture.h"

namespace lmdeploy::ops {
namespace {

class WeightRoundingTest : public testing::Test, protected WeightRoundingChecks {
 protected:
  WeightRoundingTest() {
    ctx.pool = &pool;
    ctx.allocator = &host_allocator();
    ctx.workspace = &workspace;
  }

  ThreadPool pool{3};
  Workspace workspace{host_allocator()};
  Ctx ctx;
};

TEST_F(WeightRoundingTest, ErrorsAreTheReferences) {
  for (const std::int64_t group_size : {8, 32, 96})
    for (const RoundingOptions& options : all_rounding_options(group_size))
      for (const DType dtype : kFloatTypes) {
        const std::int64_t n = 9, k = 3 * group_size;
        const Tensor w = make_weights(n, k, group_size), scales = random(DType::f32, 1, k);
        for (std::int64_t i = 0; i < k; i++) set(scales, i, 0.5F + std::abs(get(scales, i)));
        const Tensor errors = random(dtype, n, k);
        scaled_rounding_errors(ctx, w, {scales.view().data, DType::f32, {k}}, options, errors);
        expect_rounding_errors(errors, w, scales, options);
      }
}

TEST_F(WeightRoundingTest, AWeightThatIsNoNumberIsRefused) {
  const Tensor w = random(DType::f32, 2, 32), scales = random(DType::f32, 1, 32),
               errors = zeros(DType::f32, 2, 32);
  set(w, 40, std::nanf(""));
  EXPECT_THROW(scaled_rounding_errors(ctx, w, {scales.view().data, DType::f32, {32}},
                                      rounding_options(32, 4, false, DType::f16, 0), errors),
               Error);
}

TEST_F(WeightRoundingTest, ClipsErrLeast) {
  for (const std::int64_t group_size : {8, 32, 64})
    for (const RoundingOptions& options : all_rounding_options(group_size)) {
      const std::int64_t n = 9, k = 2 * group_size;
      const Tensor w = make_weights(n, k, group_size), grams = make_grams(k, group_size),
                   choices(host_allocator(), DType::u8, {n, 2});
      choose_clipping(ctx, w, grams, options, choices);
      expect_choices(choices, w, grams, options);
    }
}

// Nothing is gained where no input counts: the whole range.
TEST_F(WeightRoundingTest, AmongEqualsTheLargestShareIsChosen) {
  const Tensor w = make_weights(4, 64, 32), grams = zeros(DType::f32, 64, 32),
               choices(host_allocator(), DType::u8, {4, 2});
  choose_clipping(ctx, w, grams, rounding_options(32, 4, false, DType::f16, 0), choices);
  for (int i = 0; i < 8; i++) EXPECT_EQ(choices.view().as<std::uint8_t>()[i], 0);
}

}  // namespace
}  // namespace lmdeploy::ops
