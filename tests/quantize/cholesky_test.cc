#include "quantize/cholesky.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "model/model_session.h"
#include "quantize/gram.h"
#include "quantize/matrices.h"

namespace lmdeploy::testing {
namespace {

class Cholesky : public ::testing::Test {
 protected:
  Tensor positive_definite(std::int64_t k) {
    Gram gram(cpu_.ctx, k);
    gram.add(random_matrix(2 * k, k, static_cast<unsigned>(k), 2));
    return copy(gram.matrix());
  }
  static Tensor copy(const View& matrix) {
    Tensor result(host_allocator(), DType::f32, matrix.shape);
    std::copy_n(matrix.as<float>(), matrix.shape.num_elements(), result.view().as<float>());
    return result;
  }
  Cpu cpu_;
};

TEST_F(Cholesky, TheFactorsProductIsTheMatrix) {
  for (const std::int64_t k : {1, 2, 37, 127, 128, 129, 700}) {
    const Tensor matrix = positive_definite(k), factor = copy(matrix);
    ASSERT_TRUE(factor_cholesky(cpu_.ctx, factor));
    for (std::int64_t a = 0; a < k; a++)
      for (std::int64_t b = a; b < k; b++) {
        double product = 0, size = 0;
        for (std::int64_t i = 0; i <= a; i++) {
          const double term =
              static_cast<double>(factor.view().row<float>(i)[a]) * factor.view().row<float>(i)[b];
          product += term;
          size += std::abs(term);
        }
        ASSERT_NEAR(product, matrix.view().row<float>(a)[b], 1e-5 * size) << k << ": " << a << ", " << b;
      }
  }
}

TEST_F(Cholesky, SaysWhereThereIsNone) {
  for (const std::int64_t k : {3, 200})
    for (const float bad : {-1.0F, 0.0F, std::nanf("")}) {
      const Tensor matrix = positive_definite(k);
      matrix.view().row<float>(k - 1)[k - 1] = bad;
      EXPECT_FALSE(factor_cholesky(cpu_.ctx, matrix)) << k << ", " << bad;
    }
}

}  // namespace
}  // namespace lmdeploy::testing
