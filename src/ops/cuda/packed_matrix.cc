// Weights from host memory into the layouts of a card: a slice of rows at a time is copied as it is, and a
// kernel puts it where it belongs.
#include "ops/packed_matrix.h"

#include <algorithm>

#include "ops/cuda/cuda_ops.h"
#include "ops/cuda/launch.h"
#include "ops/cuda/pack_kernel.h"
#include "ops/cuda/quantized_matrix.h"
#include "ops/cuda/row_ops_kernel.h"
#include "tensor/cuda/device.h"

namespace lmdeploy::ops::cuda {
namespace {

constexpr std::int64_t kSliceBytes = std::int64_t{64} << 20;  // of scratch

// Rows of host memory to rows without gaps on the card. `from` may be changed when it returns.
void copy_rows(const Ctx& ctx, const View& from, void* to) {
  if (from.contiguous())
    return lmdeploy::cuda::copy_to_device(to, from.data, static_cast<std::size_t>(from.bytes()), ctx.stream);
  const std::size_t element = dtype_bytes(from.dtype),
                    row_bytes = static_cast<std::size_t>(from.dim(1)) * element;
  CUDA_CHECK(cudaMemcpy2DAsync(to, row_bytes, from.data, static_cast<std::size_t>(from.row_stride) * element,
                               row_bytes, static_cast<std::size_t>(from.dim(0)), cudaMemcpyHostToDevice,
                               stream_of(ctx)));
  CUDA_CHECK(cudaStreamSynchronize(stream_of(ctx)));
}

// f(first, count) for slices of rows, in order; a row needs so many bytes of scratch. What f puts on the
// stream has ended when this returns: products read their weights while the kernel before them still runs.
template <class F>
void for_slices(const Ctx& ctx, std::int64_t num_rows, std::int64_t row_bytes, const F& f) {
  const std::int64_t at_once = std::max(kTileRows, kSliceBytes / row_bytes / kTileRows * kTileRows);
  for (std::int64_t row = 0; row < num_rows; row += at_once) f(row, std::min(at_once, num_rows - row));
  CUDA_CHECK(cudaStreamSynchronize(stream_of(ctx)));
}

// Numbers of a slice, on the card.
struct Slice {
  View q, scales, zeros;

  Slice(Ctx& ctx, const QuantizedLayout& layout, std::int64_t num_rows)
      : q(ctx.workspace->take(DType::u8, {num_rows, layout.k})),
        scales(ctx.workspace->take(DType::f32, {num_rows, layout.num_groups()})),
        zeros(ctx.workspace->take(DType::u8, {num_rows, layout.num_groups()})) {}
  static std::int64_t row_bytes(const QuantizedLayout& layout) { return layout.k + 5 * layout.num_groups(); }

  PackSource source() const {
    return {q.as<std::uint8_t>(), scales.as<float>(), zeros.as<std::uint8_t>(), q.dim(0)};
  }
};

}  // namespace

std::int64_t packed_matrix_bytes(const MatrixFormat& format, std::int64_t n, std::int64_t k) {
  if (format.quant) return quantized_layout(format, n, k).bytes();
  return n * k * static_cast<std::int64_t>(dtype_bytes(format.dtype));
}

PackedMatrix make_packed_matrix(Ctx& ctx, const MatrixFormat& format, std::int64_t n, std::int64_t k) {
  PackedMatrix matrix;
  matrix.format = format;
  matrix.n = n;
  matrix.k = k;
  matrix.packed_bytes = cuda::packed_matrix_bytes(format, n, k);
  matrix.data = Tensor(*ctx.allocator, DType::u8, {matrix.packed_bytes});
  if (format.quant)  // what fills up tiles and groups stays zero
    CUDA_CHECK(cudaMemsetAsync(matrix.data.view().data, 0, static_cast<std::size_t>(matrix.packed_bytes),
                               stream_of(ctx)));
  return matrix;
}

void pack_rows(Ctx& ctx, const View& source, PackedMatrix& matrix, std::int64_t first_row) {
  const auto to_bytes = static_cast<std::int64_t>(dtype_bytes(matrix.dtype()));
  char* to = static_cast<char*>(matrix.data.view().data) + first_row * matrix.k * to_bytes;
  if (source.dim(0) == 0) return;
  if (source.dtype == matrix.dtype()) return copy_rows(ctx, source, to);
  const auto from_bytes = static_cast<std::int64_t>(dtype_bytes(source.dtype));
  for_slices(ctx, source.dim(0), matrix.k * from_bytes, [&](std::int64_t row, std::int64_t count) {
    const Workspace::Scope scope(*ctx.workspace);
    const View slice = ctx.workspace->take(source.dtype, {count, matrix.k});
    copy_rows(ctx, source.rows(row, count), slice.data);
    CUDA_CHECK(launch_convert_rows({slice.data, slice.dtype, matrix.k}, nullptr,
                                   {to + row * matrix.k * to_bytes, matrix.dtype(), matrix.k}, count,
                                   matrix.k, stream_of(ctx)));
  });
}

void pack_quantized_rows(Ctx& ctx, const QuantizedRows& source, PackedMatrix& matrix,
                         std::int64_t first_row) {
  const QuantizedMatrixPointers to = quantized_matrix(matrix);
  for_slices(ctx, source.q.dim(0), Slice::row_bytes(to.layout), [&](std::int64_t row, std::int64_t count) {
    const Workspace::Scope scope(*ctx.workspace);
    const Slice slice(ctx, to.layout, count);
    copy_rows(ctx, source.q.rows(row, count), slice.q.data);
    copy_rows(ctx, source.scales.rows(row, count), slice.scales.data);
    if (to.layout.has_zeros()) copy_rows(ctx, source.zeros.rows(row, count), slice.zeros.data);
    CUDA_CHECK(launch_pack(slice.source(), to, first_row + row, stream_of(ctx)));
  });
}

void quantize_rows(Ctx& ctx, const View& source, PackedMatrix& matrix, std::int64_t first_row) {
  const QuantizedMatrixPointers to = quantized_matrix(matrix);
  const std::int64_t row_bytes = matrix.k * static_cast<std::int64_t>(dtype_bytes(source.dtype));
  for_slices(ctx, source.dim(0), row_bytes + Slice::row_bytes(to.layout),
             [&](std::int64_t row, std::int64_t count) {
               const Workspace::Scope scope(*ctx.workspace);
               const View floats = ctx.workspace->take(source.dtype, {count, matrix.k});
               const Slice slice(ctx, to.layout, count);
               copy_rows(ctx, source.rows(row, count), floats.data);
               CUDA_CHECK(launch_quantize(
                   floats.data, source.dtype, count, to.layout,
                   {slice.q.as<std::uint8_t>(), slice.scales.as<float>(), slice.zeros.as<std::uint8_t>()},
                   stream_of(ctx)));
               CUDA_CHECK(launch_pack(slice.source(), to, first_row + row, stream_of(ctx)));
             });
}

}  // namespace lmdeploy::ops::cuda
