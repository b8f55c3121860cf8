#pragma once
#include <cmath>
#include <cstring>

#include "cuda/attention_fixture.h"

namespace lmdeploy::ops {

// Rows of projections on the card, between other columns that are poison, and what rotates them.
class CudaProjectedTest : public CudaAttentionTest {
 protected:
  // Rows of [q, k, v] and the heads in them.
  struct Projected {
    Slice rows;
    View q, k, v;
  };
  Projected projected(const View& host, std::int64_t lead) {
    Projected result{slice_of(host, lead), {}, {}, {}};
    const std::int64_t query_width = shape.num_heads * shape.head_dim,
                       width = shape.num_kv_heads * shape.head_dim;
    result.q = heads(result.rows.view.columns(0, query_width), shape.num_heads);
    result.k = heads(result.rows.view.columns(query_width, width), shape.num_kv_heads);
    result.v = heads(result.rows.view.columns(query_width + width, width), shape.num_kv_heads);
    return result;
  }
  View heads(const View& columns, std::int64_t count) const {
    return {columns.data, DType::f32, {columns.dim(0), count, shape.head_dim}, columns.row_stride};
  }

  std::vector<float> inv_freq() const {
    std::vector<float> values;
    for (std::int64_t j = 0; j < shape.head_dim; j += 2)
      values.push_back(std::pow(10000.0F, -static_cast<float>(j) / static_cast<float>(shape.head_dim)));
    return values;
  }

  static void expect_same_bytes(const Tensor& actual, const Tensor& expected, const std::string& what) {
    EXPECT_EQ(std::memcmp(actual.view().data, expected.view().data,
                          static_cast<std::size_t>(expected.view().bytes())),
              0)
        << what;
  }
};

}  // namespace lmdeploy::ops
