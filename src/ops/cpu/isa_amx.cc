// bf16 matrices on the tile unit (AMX) of Intel's servers since Sapphire Rapids; everything else there is
// AVX-512. The packed layout is what the unit reads as it lies: 16 steps of 16 columns make one tile.
#include "ops/cpu/simd_avx512.h"
// simd first: what comes next is written in its terms.
#include "ops/cpu/amx_tiles.h"
#include "ops/cpu/simd_math.h"

namespace lmdeploy::ops::cpu {
namespace {

// A step is a pair of inputs. One instruction adds the products of 16 steps to a tile of sums: those of the
// first inputs of the pairs and those of the second each in order, from zero, then both together to the sum.
// Steps that fill no tile are padded with zeros. So an element's order is the same in every tile it may lie
// in.
static_assert(kTile == kXTileSteps && 2 * kTile == kXTileRows);
// So many steps of 32 rows of x stay in the first-level cache while the columns of a task pass over them.
constexpr std::int64_t kNearSteps = 320;
// So many steps of the columns (256 of them: 1 MiB) stay in the second-level cache while groups of rows pass
// over them. Sums wait in y, exactly.
constexpr std::int64_t kCachedSteps = 1024;

const char* offset(const void* p, std::int64_t bytes) {
  return static_cast<const char*>(p) + bytes;
}

// Adds 16 steps of up to 32 rows and 32 columns, or of up to 16 rows and 64 columns.
template <bool kPaired>
void add_tiles(const char* x, std::int64_t x_stride, const char* w) {
  if constexpr (kPaired) {
    _tile_loadd(6, w, kStepBytes);
    _tile_loadd(4, x, x_stride);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(7, w + kTileBytes, kStepBytes);
    _tile_dpbf16ps(1, 4, 7);
    _tile_loadd(5, x + kTile * x_stride, x_stride);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  } else {
    _tile_loadd(4, x, x_stride);
    _tile_loadd(5, w, kStepBytes);
    _tile_dpbf16ps(0, 4, 5);
    _tile_loadd(6, w + kTileBytes, kStepBytes);
    _tile_dpbf16ps(1, 4, 6);
    _tile_loadd(7, w + 2 * kTileBytes, kStepBytes);
    _tile_dpbf16ps(2, 4, 7);
    _tile_loadd(5, w + 3 * kTileBytes, kStepBytes);
    _tile_dpbf16ps(3, 4, 5);
  }
}

// Rows and columns of y, and the steps that are added to them.
struct Part {
  std::int64_t row, num_rows;
  std::int64_t column, num_columns;  // 32 columns with more than 16 rows, otherwise 64; fewer at the end
  std::int64_t first_step, num_steps;
  std::int64_t fetch_distance;  // see Matmul; 0: none
};

template <bool kPaired>
void load_sums(const float* y, std::int64_t stride) {
  const float* third = y + third_tile<kPaired>(stride);
  settle_memory();
  _tile_loadd(0, y, stride * 4);
  _tile_loadd(1, y + kTile, stride * 4);
  _tile_loadd(2, third, stride * 4);
  _tile_loadd(3, third + kTile, stride * 4);
}

// A copy of a part of y: whole tiles, whatever the part's shape.
struct alignas(64) Scratch {
  float values[2 * kTile][kBlockColumns];
};

// What the sums begin with, where that is not zero.
void fill(Scratch& scratch, const Matmul& m, const Part& part) {
  const bool add_bias = m.bias != nullptr && part.first_step == 0;
  const bool add_y = m.accumulate || part.first_step > 0;
  for (std::int64_t r = 0; r < part.num_rows; r++)
    for (std::int64_t c = 0; c < part.num_columns; c += kLanes) {
      const std::int64_t count = part.num_columns - c;
      Vec sum{};
      if (add_y) sum += load_at_most(m.y + (part.row + r) * m.y_stride + part.column + c, count);
      if (add_bias) sum += load_at_most(m.bias + part.column + c, count);
      store(&scratch.values[r][c], sum);
    }
}

void empty(const Scratch& scratch, const Matmul& m, const Part& part) {
  for (std::int64_t r = 0; r < part.num_rows; r++)
    for (std::int64_t c = 0; c < part.num_columns; c += kLanes)
      store_at_most(m.y + (part.row + r) * m.y_stride + part.column + c, load(&scratch.values[r][c]),
                    part.num_columns - c);
}

// The rows and steps of x that a part takes.
struct Left {
  const char* data;
  std::int64_t row_stride;   // bytes
  std::int64_t tile_stride;  // bytes from 16 steps to the next
};

Left left_of(const Matmul& m, const Part& part) {
  constexpr std::int64_t kBytes = kXTileRows * kTileBytes;
  const std::int64_t tile = part.first_step / kTile;
  if (!m.x_in_tiles)
    return {offset(m.x, part.row * m.x_stride * 2 + tile * kTileBytes), m.x_stride * 2, kTileBytes};
  const std::int64_t num_tiles = (m.num_steps + kTile - 1) / kTile;
  return {offset(m.x, (part.row / kXTileRows * num_tiles + tile) * kBytes), kTileBytes, kBytes};
}

// Fewer than 16 steps of all columns of a block, as 16 with zeros.
struct alignas(64) PaddedSteps {
  char w[kTile][kStepBytes] = {};

  PaddedSteps(const char* from, std::int64_t num_steps, std::int64_t num_columns) {
    for (std::int64_t s = 0; s < num_steps; s++)
      __builtin_memcpy(w[s], from + s * kStepBytes, static_cast<std::size_t>(num_columns) * 4);
    settle_memory();
  }
};

template <bool kPaired>
void multiply_part(const Matmul& m, const Part& part, const Left& x) {
  constexpr std::int64_t kColumns = kPaired ? 2 * kTile : kBlockColumns;
  const bool whole = part.num_columns == kColumns, resume = part.first_step > 0;
  float* y = m.y + part.row * m.y_stride + part.column;
  Scratch scratch;
  if (whole && resume) {
    load_sums<kPaired>(y, m.y_stride);
  } else if (resume || m.accumulate || m.bias != nullptr) {
    fill(scratch, m, part);
    load_sums<kPaired>(scratch.values[0], kBlockColumns);
  } else {
    zero_sums();
  }
  const char* left = x.data;
  const char* w = offset(m.w, part.column / kBlockColumns * m.w_block_stride * 2 +
                                  part.column % kBlockColumns * 4 + part.first_step * kStepBytes);
  std::int64_t step = 0;
  for (; step + kTile <= part.num_steps; step += kTile) {
    if (part.fetch_distance > 0)
      for (std::int64_t line = 0; line < kTile * kStepBytes; line += 64)
        __builtin_prefetch(w + part.fetch_distance + line);
    add_tiles<kPaired>(left, x.row_stride, w);
    left += x.tile_stride;
    w += kTile * kStepBytes;
  }
  if (step < part.num_steps) {
    const PaddedSteps padded(w, part.num_steps - step, kColumns);
    add_tiles<kPaired>(left, x.row_stride, padded.w[0]);
  }
  if (whole) {
    store_sums<kPaired>(y, m.y_stride);
  } else {
    store_sums<kPaired>(scratch.values[0], kBlockColumns);
    empty(scratch, m, part);
  }
}

// `count` steps in nearly equal stretches of whole tiles, at most `at_once` long.
std::int64_t stretch(std::int64_t count, std::int64_t at_once) {
  const std::int64_t num_stretches = (count + at_once - 1) / at_once;
  return ((count + num_stretches - 1) / num_stretches + kTile - 1) / kTile * kTile;
}

std::int64_t smaller(std::int64_t a, std::int64_t b) {
  return a < b ? a : b;
}

// All columns of the task.
void multiply_rows(const Matmul& m, Part part) {
  const Left x = left_of(m, part);
  const bool paired = part.num_rows > kTile;
  const std::int64_t width = paired ? 2 * kTile : kBlockColumns;
  for (part.column = m.first_column; part.column < m.end_column; part.column += width) {
    part.num_columns = smaller(width, m.end_column - part.column);
    part.fetch_distance = part.row == 0 && part.column % kBlockColumns == 0 ? m.fetch_distance : 0;
    if (paired)
      multiply_part<true>(m, part, x);
    else
      multiply_part<false>(m, part, x);
  }
}

}  // namespace

void multiply_on_tiles(const Matmul& m) {
  // Up to 16 rows pass over everything once: no need to stop.
  const bool few = m.num_rows <= kTile;
  const std::int64_t cached_steps = few ? m.num_steps : stretch(m.num_steps, kCachedSteps);
  std::int64_t configured = 0;
  for (std::int64_t first = 0; first < m.num_steps; first += cached_steps) {
    const std::int64_t end = smaller(m.num_steps, first + cached_steps);
    const std::int64_t near_steps = few ? m.num_steps : stretch(end - first, kNearSteps);
    for (std::int64_t row = 0; row < m.num_rows; row += kXTileRows) {
      Part part{};
      part.row = row;
      part.num_rows = smaller(kXTileRows, m.num_rows - row);
      if (part.num_rows != configured) configure_tiles(configured = part.num_rows);
      for (part.first_step = first; part.first_step < end; part.first_step += near_steps) {
        part.num_steps = smaller(near_steps, end - part.first_step);
        multiply_rows(m, part);
      }
    }
  }
  _tile_release();
}

double multiply_adds_on_tiles(std::int64_t num_rounds) {
  constexpr std::int64_t kInputs = 2 * kTile;  // that one instruction adds
  return repeat_on_tiles(num_rounds,
                         [] {
                           _tile_dpbf16ps(0, 4, 6);
                           _tile_dpbf16ps(1, 4, 7);
                           _tile_dpbf16ps(2, 5, 6);
                           _tile_dpbf16ps(3, 5, 7);
                         }) *
         kInputs;
}

}  // namespace lmdeploy::ops::cpu
