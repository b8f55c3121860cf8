#include "quantize/transpose.h"

#include <algorithm>

namespace lmdeploy {
namespace {

// Lines of a square of so many elements stay in the first-level cache while their columns are written.
constexpr std::int64_t kTile = 32;

template <class T>
void transpose_rows(const View& source, const View& target, std::int64_t first) {
  const std::int64_t end = std::min(first + kTile, target.dim(0)), m = source.dim(0);
  for (std::int64_t tile = 0; tile < m; tile += kTile)
    for (std::int64_t row = first; row < end; row++) {
      T* out = target.row<T>(row);
      for (std::int64_t i = tile; i < std::min(tile + kTile, m); i++) out[i] = source.row<T>(i)[row];
    }
}

}  // namespace

void transpose(Ctx& ctx, const View& source, const View& target) {
  CHECK(source.dim(0) == target.dim(1) && source.dim(1) == target.dim(0) && source.dtype == target.dtype,
        "transpose {} {} to {} {}", dtype_name(source.dtype), source.shape.to_string(),
        dtype_name(target.dtype), target.shape.to_string());
  const auto by_tile = [&](std::int64_t tile, int) {
    if (source.dtype == DType::f32) return transpose_rows<float>(source, target, tile * kTile);
    if (source.dtype == DType::bf16) return transpose_rows<bf16_t>(source, target, tile * kTile);
    transpose_rows<f16_t>(source, target, tile * kTile);
  };
  ctx.pool->parallel_for((target.dim(0) + kTile - 1) / kTile, by_tile);
}

}  // namespace lmdeploy
