#include "quantize/input_drift.h"

#include <algorithm>
#include <cstring>

#include "ops/ops.h"
#include "quantize/transpose.h"

namespace lmdeploy {
namespace {

constexpr std::int64_t kSliceRows = 1024;  // inputs per product

template <class T>
void subtract(Ctx& ctx, const View& target, const View& other) {
  ctx.pool->parallel_for(target.dim(0), [&](std::int64_t row, int) {
    T* values = target.row<T>(row);
    const T* subtrahends = other.row<T>(row);
    for (std::int64_t i = 0; i < target.dim(1); i++)
      values[i] = from_float<T>(to_float(values[i]) - to_float(subtrahends[i]));
  });
}

}  // namespace

InputDrift::InputDrift(Ctx& ctx, std::int64_t k) : ctx_(ctx), sum_(*ctx.allocator, DType::f32, {k, k}) {
  std::memset(sum_.view().data, 0, static_cast<std::size_t>(sum_.view().bytes()));
}

void InputDrift::add(const View& exact, const View& x) {
  CHECK(exact.shape == x.shape && exact.dtype == x.dtype && x.dim(1) == sum_.shape()[1],
        "inputs {} and {} to a sum of {}", exact.shape.to_string(), x.shape.to_string(), sum_.shape()[1]);
  for (std::int64_t row = 0; row < x.dim(0); row += kSliceRows) {
    const std::int64_t count = std::min(kSliceRows, x.dim(0) - row);
    add_slice(exact.rows(row, count), x.rows(row, count));
  }
}

void InputDrift::add_slice(const View& exact, const View& x) {
  const Workspace::Scope scope(*ctx_.workspace);
  const std::int64_t m = x.dim(0), k = x.dim(1);
  const View columns = ctx_.workspace->take(x.dtype, {k, m}), drifts = ctx_.workspace->take(x.dtype, {k, m});
  transpose(ctx_, x, columns);
  transpose(ctx_, exact, drifts);
  if (x.dtype == DType::f32)
    subtract<float>(ctx_, drifts, columns);
  else if (x.dtype == DType::bf16)
    subtract<bf16_t>(ctx_, drifts, columns);
  else
    subtract<f16_t>(ctx_, drifts, columns);
  ops::PackedMatrix packed = ops::make_packed_matrix(ctx_, {x.dtype}, k, m);
  ops::pack_rows(ctx_, drifts, packed, 0);
  ops::linear(ctx_, columns, packed, sum_, {.bias = {}, .accumulate = true});
}

}  // namespace lmdeploy
