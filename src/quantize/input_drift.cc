#include "quantize/input_drift.h"

#include <algorithm>

#include "ops/ops.h"
#include "quantize/contexts.h"

namespace lmdeploy {
namespace {

constexpr std::int64_t kSliceRows = 1024, kCardSliceRows = 8192;  // inputs per product

}  // namespace

InputDrift::InputDrift(Ctx& ctx, std::int64_t k) : ctx_(ctx), sum_(make_zeros(ctx, DType::f32, {k, k})) {}

void InputDrift::add(const View& exact, const View& x) {
  CHECK(exact.shape == x.shape && exact.dtype == x.dtype && x.dim(1) == sum_.shape()[1],
        "inputs {} and {} to a sum of {}", exact.shape.to_string(), x.shape.to_string(), sum_.shape()[1]);
  const std::int64_t slice_rows = ctx_.device == Device::cpu ? kSliceRows : kCardSliceRows;
  for (std::int64_t row = 0; row < x.dim(0); row += slice_rows) {
    const std::int64_t count = std::min(slice_rows, x.dim(0) - row);
    add_slice(exact.rows(row, count), x.rows(row, count));
  }
}

void InputDrift::add_slice(const View& exact, const View& x) {
  const Workspace::Scope scope(*ctx_.workspace);
  const std::int64_t m = x.dim(0), k = x.dim(1);
  const View columns = ctx_.workspace->take(x.dtype, {k, m}), drifts = ctx_.workspace->take(x.dtype, {k, m});
  ops::transpose(ctx_, x, columns);
  ops::transpose(ctx_, exact, drifts);
  ops::subtract(ctx_, drifts, columns, drifts);
  ops::matmul(ctx_, columns, drifts, sum_, true);
}

}  // namespace lmdeploy
