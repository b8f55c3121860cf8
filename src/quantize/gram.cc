#include "quantize/gram.h"

#include <algorithm>
#include <cstring>

#include "ops/ops.h"
#include "quantize/transpose.h"

namespace lmdeploy {
namespace {

// Inputs per product: enough for the products to outweigh reading and writing the sum.
constexpr std::int64_t kSliceRows = 1024;
// Columns of the sum per product. Only blocks on and above the diagonal are computed.
constexpr std::int64_t kStripColumns = 512;

}  // namespace

Gram::Gram(Ctx& ctx, std::int64_t k) : ctx_(ctx), sum_(*ctx.allocator, DType::f32, {k, k}) {
  std::memset(sum_.view().data, 0, static_cast<std::size_t>(sum_.view().bytes()));
}

void Gram::add(const View& x) {
  CHECK(x.dim(1) == sum_.shape()[1], "inputs of {} to a sum of {}", x.dim(1), sum_.shape()[1]);
  for (std::int64_t row = 0; row < x.dim(0); row += kSliceRows)
    add_slice(x.rows(row, std::min(kSliceRows, x.dim(0) - row)));
}

void Gram::add_slice(const View& x) {
  const Workspace::Scope scope(*ctx_.workspace);
  const std::int64_t m = x.dim(0), k = x.dim(1);
  const View columns = ctx_.workspace->take(x.dtype, {k, m});
  transpose(ctx_, x, columns);
  for (std::int64_t first = 0; first < k; first += kStripColumns) {
    const std::int64_t count = std::min(kStripColumns, k - first);
    ops::PackedMatrix strip = ops::make_packed_matrix(ctx_, {x.dtype}, count, m);
    ops::pack_rows(ctx_, columns.rows(first, count), strip, 0);
    ops::linear(ctx_, columns.rows(0, first + count), strip,
                sum_.view().rows(0, first + count).columns(first, count), {.bias = {}, .accumulate = true});
  }
}

const View& Gram::matrix() {
  const View& sum = sum_.view();
  const std::int64_t k = sum.dim(0);
  for (std::int64_t first = 0; first < k; first += kStripColumns) {
    const std::int64_t count = std::min(kStripColumns, k - first), end = first + count;
    if (end < k)
      transpose(ctx_, sum.rows(first, count).columns(end, k - end),
                sum.rows(end, k - end).columns(first, count));
  }
  return sum;
}

}  // namespace lmdeploy
