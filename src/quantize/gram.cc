#include "quantize/gram.h"

#include <algorithm>

#include "ops/ops.h"
#include "quantize/contexts.h"

namespace lmdeploy {
namespace {

// Inputs per product: enough for the products to outweigh reading and writing the sum.
constexpr std::int64_t kSliceRows = 1024, kCardSliceRows = 8192;
// Columns of the sum per product, enough to fill the device. Only blocks on and above the diagonal are
// computed.
constexpr std::int64_t kStripColumns = 512, kCardStripColumns = 2048;

}  // namespace

Gram::Gram(Ctx& ctx, std::int64_t k) : ctx_(ctx), sum_(make_zeros(ctx, DType::f32, {k, k})) {}

std::int64_t Gram::strip_columns() const {
  return ctx_.device == Device::cpu ? kStripColumns : kCardStripColumns;
}

void Gram::add(const View& x) {
  CHECK(x.dim(1) == sum_.shape()[1], "inputs of {} to a sum of {}", x.dim(1), sum_.shape()[1]);
  const std::int64_t slice_rows = ctx_.device == Device::cpu ? kSliceRows : kCardSliceRows;
  for (std::int64_t row = 0; row < x.dim(0); row += slice_rows)
    add_slice(x.rows(row, std::min(slice_rows, x.dim(0) - row)));
}

void Gram::add_slice(const View& x) {
  const Workspace::Scope scope(*ctx_.workspace);
  const std::int64_t m = x.dim(0), k = x.dim(1);
  const View columns = ctx_.workspace->take(x.dtype, {k, m});
  ops::transpose(ctx_, x, columns);
  for (std::int64_t first = 0; first < k; first += strip_columns()) {
    const std::int64_t count = std::min(strip_columns(), k - first), end = first + count;
    ops::matmul(ctx_, columns.rows(0, end), columns.rows(first, count),
                sum_.view().rows(0, end).columns(first, count), true);
  }
}

const View& Gram::matrix() {
  const View& sum = sum_.view();
  const std::int64_t k = sum.dim(0);
  for (std::int64_t first = 0; first < k; first += strip_columns()) {
    const std::int64_t count = std::min(strip_columns(), k - first), end = first + count;
    if (end < k)
      ops::transpose(ctx_, sum.rows(first, count).columns(end, k - end),
                     sum.rows(end, k - end).columns(first, count));
  }
  return sum;
}

}  // namespace lmdeploy
