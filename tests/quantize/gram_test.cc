#include "quantize/gram.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "model/model_session.h"
#include "quantize/matrices.h"

namespace lmdeploy::testing {
namespace {

class GramTest : public ::testing::Test {
 protected:
  // By definition, in double; within what summing in f32 costs. Every `step`th row.
  static void expect_gram(const View& actual, const View& x, std::int64_t step = 1) {
    for (std::int64_t a = 0; a < x.dim(1); a += step)
      for (std::int64_t b = 0; b < x.dim(1); b++) {
        double sum = 0, size = 0;
        for (std::int64_t row = 0; row < x.dim(0); row++) {
          const double product = static_cast<double>(x.row<float>(row)[a]) * x.row<float>(row)[b];
          sum += product;
          size += std::abs(product);
        }
        ASSERT_NEAR(actual.row<float>(a)[b], sum, 1e-5 * size) << a << ", " << b;
      }
  }
  Cpu cpu_;
};

TEST_F(GramTest, SumsProductsOfInputs) {
  for (const std::int64_t k : {1, 31, 130})
    for (const std::int64_t m : {1, 7, 100}) {
      const Tensor x = random_matrix(m, k, static_cast<unsigned>(m * k), 5);
      Gram gram(cpu_.ctx, k);
      gram.add(x);
      expect_gram(gram.matrix(), x);
    }
}

TEST_F(GramTest, StripsAndSlicesMeet) {
  const Tensor x = random_matrix(1030, 515, 1);
  Gram gram(cpu_.ctx, 515);
  gram.add(x);
  expect_gram(gram.matrix(), x, 73);  // 511 is the last row of a strip
}

TEST_F(GramTest, GoesOnAfterItWasRead) {
  const Tensor x = random_matrix(40, 514, 2);
  Gram gram(cpu_.ctx, 514);
  gram.add(x.view().rows(0, 13));
  expect_gram(gram.matrix(), x.view().rows(0, 13));
  gram.add(x.view().rows(13, 27));
  expect_gram(gram.matrix(), x);
}

TEST_F(GramTest, TakesActivationsAsTheyAre) {
  const Tensor x = random_matrix(33, 20, 3);
  Tensor halves(host_allocator(), DType::bf16, {33, 20});
  for (std::int64_t i = 0; i < 33 * 20; i++) {
    halves.view().as<bf16_t>()[i] = from_float<bf16_t>(x.view().as<float>()[i]);
    x.view().as<float>()[i] = to_float(halves.view().as<bf16_t>()[i]);
  }
  Gram gram(cpu_.ctx, 20);
  gram.add(halves);
  expect_gram(gram.matrix(), x);
  EXPECT_THROW(gram.add(random_matrix(1, 21, 4)), CheckFailure);
}

}  // namespace
}  // namespace lmdeploy::testing
