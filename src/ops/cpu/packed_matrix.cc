#include "ops/packed_matrix.h"

#include <emmintrin.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "ops/cpu/cpu_ops.h"
#include "ops/cpu/kernels.h"
#include "ops/cpu/parallel.h"
#include "ops/cpu/quantized_layout.h"

namespace lmdeploy::ops::cpu {
namespace {

constexpr std::int64_t kChunk = 512;     // inputs that are converted at once
constexpr std::int64_t kTileSteps = 16;  // steps of a block that are written together: 4 KiB of bf16

// The system backs whole, aligned pages of this size with huge ones, and aligns only mappings of a multiple
// of it. Without them a matrix that fits neither cache nor TLB is read at half the rate, which is worth up to
// one page of memory per matrix; a matrix below a few hundred KiB is not worth it.
constexpr std::int64_t kHugePageBytes = std::int64_t{2} << 20;
constexpr std::int64_t kHugePageWorthBytes = std::int64_t{256} << 10;

// Four steps of four rows, transposed in registers: loading time is mostly this. SSE2 is in every x86-64.
void pack_4x4(const char* from, std::int64_t from_stride_bytes, std::uint32_t* to) {
  const auto load = [&](std::int64_t row) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + row * from_stride_bytes));
  };
  const auto store = [&](std::int64_t step, __m128i v) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + step * kBlockColumns), v);
  };
  const __m128i a = load(0), b = load(1), c = load(2), d = load(3);
  const __m128i ab_low = _mm_unpacklo_epi32(a, b), ab_high = _mm_unpackhi_epi32(a, b);
  const __m128i cd_low = _mm_unpacklo_epi32(c, d), cd_high = _mm_unpackhi_epi32(c, d);
  store(0, _mm_unpacklo_epi64(ab_low, cd_low));
  store(1, _mm_unpackhi_epi64(ab_low, cd_low));
  store(2, _mm_unpacklo_epi64(ab_high, cd_high));
  store(3, _mm_unpackhi_epi64(ab_high, cd_high));
}

// Rows [first, first + num_rows) of one block, `num_steps` steps of it: `to` is the first step's line of row
// `first`, `from` the row's first input. A step of a row is one T.
template <class T>
void pack_tile(const char* from, std::int64_t from_stride_bytes, std::int64_t num_rows,
               std::int64_t num_steps, T* to) {
  std::int64_t first_row = 0;
  if constexpr (sizeof(T) == 4)
    if (num_steps % 4 == 0)
      for (; first_row + 4 <= num_rows; first_row += 4)
        for (std::int64_t step = 0; step < num_steps; step += 4)
          pack_4x4(from + first_row * from_stride_bytes + step * 4, from_stride_bytes,
                   to + step * kBlockColumns + first_row);
  for (std::int64_t row = first_row; row < num_rows; row++) {
    const char* in = from + row * from_stride_bytes;
    for (std::int64_t step = 0; step < num_steps; step++)
      std::memcpy(to + step * kBlockColumns + row, in + step * static_cast<std::int64_t>(sizeof(T)),
                  sizeof(T));
  }
}

template <class T>
void pack_steps(const char* from, std::int64_t from_stride_bytes, std::int64_t num_rows,
                std::int64_t num_steps, T* to) {
  for (std::int64_t step = 0; step < num_steps; step += kTileSteps)
    pack_tile<T>(from + step * static_cast<std::int64_t>(sizeof(T)), from_stride_bytes, num_rows,
                 std::min(kTileSteps, num_steps - step), to + step * kBlockColumns);
}

struct Part {  // the rows of `source` that fall into one block
  std::int64_t source_row;
  std::int64_t num_rows;
  std::int64_t block;
  std::int64_t row_in_block;
};

template <class T>
void pack_part(const Kernels& k, const View& source, PackedMatrix& matrix, const Part& part) {
  const std::int64_t pair = pair_of(matrix.dtype()), num_steps = (matrix.k + pair - 1) / pair;
  T* block =
      static_cast<T*>(matrix.data.view().data) + part.block * num_steps * kBlockColumns + part.row_in_block;
  const auto element_bytes = static_cast<std::int64_t>(dtype_bytes(source.dtype));
  if (source.dtype == matrix.dtype() && matrix.k % pair == 0) {
    pack_steps<T>(element(source, part.source_row), source.row_stride * element_bytes, part.num_rows,
                  num_steps, block);
    return;
  }
  alignas(64) std::array<float, kChunk> converted;
  const auto cast = k.cast[dtype_idx(source.dtype)][dtype_idx(matrix.dtype())];
  for (std::int64_t row = 0; row < part.num_rows; row++)
    for (std::int64_t column = 0; column < matrix.k; column += kChunk) {
      const std::int64_t count = std::min(kChunk, matrix.k - column), steps = (count + pair - 1) / pair;
      if (count % pair != 0)
        converted[static_cast<std::size_t>(count / pair)] = 0;  // the last pair's partner
      cast(element(source, part.source_row + row, column), converted.data(), count);
      pack_steps<T>(reinterpret_cast<const char*>(converted.data()), 0, 1, steps,
                    block + column / pair * kBlockColumns + row);
    }
}

std::int64_t block_bytes(const MatrixFormat& format, std::int64_t k) {
  if (format.quant) return QuantizedLayout(*format.quant, k).block_bytes();
  const std::int64_t pair = pair_of(format.dtype);
  return (k + pair - 1) / pair * pair * kBlockColumns * static_cast<std::int64_t>(dtype_bytes(format.dtype));
}

std::int64_t num_blocks(std::int64_t n) {
  return (n + kBlockColumns - 1) / kBlockColumns;
}

}  // namespace

std::int64_t packed_matrix_bytes(const MatrixFormat& format, std::int64_t n, std::int64_t k) {
  const std::int64_t bytes = num_blocks(n) * block_bytes(format, k);
  const std::int64_t unit = bytes >= kHugePageWorthBytes ? kHugePageBytes : 1;
  return (bytes + unit - 1) / unit * unit;
}

PackedMatrix make_packed_matrix(Ctx& ctx, const MatrixFormat& format, std::int64_t n, std::int64_t k) {
  PackedMatrix matrix;
  matrix.format = format;
  matrix.n = n;
  matrix.k = k;
  matrix.packed_bytes = num_blocks(n) * block_bytes(format, k);
  matrix.data = Tensor(*ctx.allocator, DType::u8, {cpu::packed_matrix_bytes(format, n, k)});
  if (n % kBlockColumns != 0)  // only here are there rows that nobody will write
    std::memset(matrix.data.view().as<std::uint8_t>() + (num_blocks(n) - 1) * block_bytes(format, k), 0,
                static_cast<std::size_t>(block_bytes(format, k)));
  return matrix;
}

void pack_rows(Ctx& ctx, const View& source, PackedMatrix& matrix, std::int64_t first_row) {
  const Kernels& k = kernels(ctx.cpu_isa);
  const std::int64_t end_row = first_row + source.dim(0), first_block = first_row / kBlockColumns;
  const std::int64_t num_blocks = (end_row + kBlockColumns - 1) / kBlockColumns - first_block;
  parallel_rows(ctx, num_blocks, kBlockColumns * matrix.k, [&](std::int64_t i) {
    const std::int64_t block = first_block + i;
    const std::int64_t begin = std::max(first_row, block * kBlockColumns);
    const std::int64_t end = std::min(end_row, (block + 1) * kBlockColumns);
    const Part part{begin - first_row, end - begin, block, begin - block * kBlockColumns};
    if (matrix.dtype() == DType::f16)
      pack_part<std::uint16_t>(k, source, matrix, part);
    else  // one float, or a pair of bf16
      pack_part<std::uint32_t>(k, source, matrix, part);
  });
}

}  // namespace lmdeploy::ops::cpu
