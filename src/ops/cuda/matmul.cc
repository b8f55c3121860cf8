#include "ops/cuda/cublas_lt.h"
#include "ops/cuda/cuda_ops.h"

namespace lmdeploy::ops::cuda {
namespace {

// cuBLASLt has kernels for every product whose rows are whole vectors of so many bytes.
constexpr std::int64_t kRowUnit = 16;

// A matrix whose rows are such, and without gaps where `dense`: itself, or a copy whose rows are filled up
// with zeros, which add nothing to a product.
View whole_rows(Ctx& ctx, const View& x, bool dense) {
  const auto bytes = static_cast<std::int64_t>(dtype_bytes(x.dtype));
  const bool aligned = reinterpret_cast<std::uintptr_t>(x.data) % kRowUnit == 0 &&
                       x.dim(1) * bytes % kRowUnit == 0 && x.row_stride * bytes % kRowUnit == 0;
  if (aligned && (!dense || x.contiguous())) return x;
  const std::int64_t unit = kRowUnit / bytes, padded = (x.dim(1) + unit - 1) / unit * unit;
  const View copy = ctx.workspace->take(x.dtype, {x.dim(0), padded});
  CUDA_CHECK(cudaMemsetAsync(copy.data, 0, static_cast<std::size_t>(copy.bytes()), stream_of(ctx)));
  const auto pitch = [&](const View& rows) { return static_cast<std::size_t>(rows.row_stride * bytes); };
  CUDA_CHECK(cudaMemcpy2DAsync(copy.data, pitch(copy), x.data,
                               x.dim(0) == 1 ? pitch(copy) : pitch(x),  // one row has no distance
                               static_cast<std::size_t>(x.dim(1) * bytes), static_cast<std::size_t>(x.dim(0)),
                               cudaMemcpyDeviceToDevice, stream_of(ctx)));
  return copy;
}

}  // namespace

void matmul(Ctx& ctx, const View& a, const View& b, const View& y, bool accumulate) {
  if (y.shape.num_elements() == 0) return;
  const Workspace::Scope scope(*ctx.workspace);
  const View left = whole_rows(ctx, a, false), right = whole_rows(ctx, b, true);
  const std::int64_t k = right.dim(1);  // both were filled up, or neither
  const bool found = cublas_matmul(ctx, {a.dtype, a.dim(0), b.dim(0), k, left.data, left.row_stride,
                                         right.data, y.data, y.dtype, y.row_stride, accumulate});
  if (!found)
    throw Error(fmt::format("cuBLASLt has no kernel for the product of {} {} and {}", dtype_name(a.dtype),
                            a.shape.to_string(), b.shape.to_string()),
                "Update it, or use --device cpu.");
}

}  // namespace lmdeploy::ops::cuda
