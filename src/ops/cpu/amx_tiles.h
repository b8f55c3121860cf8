#pragma once
// What kernels on the tile unit (AMX) share. A tile register holds 16 rows of 64 bytes: sums of 16 rows and
// 16 columns, 16 steps (of 4 bytes) of 16 rows of x, or 16 steps of 16 columns of w. Include in isa files
// only.
#include <immintrin.h>

#include "ops/cpu/kernels.h"

namespace lmdeploy::ops::cpu {
namespace {

inline constexpr std::int64_t kTile = 16;
inline constexpr std::int64_t kTileBytes = 64;                 // of a row
inline constexpr std::int64_t kStepBytes = kBlockColumns * 4;  // of a block of w

// The intrinsics do not tell the compiler what memory they touch.
inline void settle_memory() {
  __asm__ volatile("" ::: "memory");
}

struct alignas(64) TileConfig {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t row_bytes[16] = {};
  std::uint8_t rows[16] = {};
};

// Tiles 0 to 3: sums, 4 and 5: x, 6 and 7: w. Rows beyond the first 16 go to 2, 3 and 5. Up to 16 rows take
// four tiles of columns, 0 to 3, with x in 4 and w in 5 to 7.
inline void configure_tiles(std::int64_t num_rows) {
  TileConfig config;
  const bool paired = num_rows > kTile;
  for (int tile = 0; tile < 8; tile++) {
    const bool second = tile == 2 || tile == 3 || tile == 5, weights = tile > 5 || (tile == 5 && !paired);
    const std::int64_t rows = weights ? kTile : !paired ? num_rows : second ? num_rows - kTile : kTile;
    config.rows[tile] = static_cast<std::uint8_t>(rows);
    config.row_bytes[tile] = kTileBytes;
  }
  settle_memory();
  _tile_loadconfig(&config);
}

inline void zero_sums() {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
}

// Where the third tile of sums lies.
template <bool kPaired>
inline std::int64_t third_tile(std::int64_t stride) {
  return kPaired ? kTile * stride : 2 * kTile;
}

// The tiles of sums to rows `stride` elements apart.
template <bool kPaired, class Sum>
inline void store_sums(Sum* y, std::int64_t stride) {
  static_assert(sizeof(Sum) == 4);
  Sum* third = y + third_tile<kPaired>(stride);
  _tile_stored(0, y, stride * 4);
  _tile_stored(1, y + kTile, stride * 4);
  _tile_stored(2, third, stride * 4);
  _tile_stored(3, third + kTile, stride * 4);
  settle_memory();
}

// The step whose rate is the unit's peak: `step` adds tiles 4 and 5 times 6 and 7 to the four of sums.
// Returns how many outputs it added to.
template <class Step>
double repeat_on_tiles(std::int64_t num_rounds, const Step& step) {
  alignas(64) static constexpr char kZeros[kTile][kTileBytes] = {};
  configure_tiles(2 * kTile);
  zero_sums();
  _tile_loadd(4, kZeros, kTileBytes);
  _tile_loadd(5, kZeros, kTileBytes);
  _tile_loadd(6, kZeros, kTileBytes);
  _tile_loadd(7, kZeros, kTileBytes);
  for (std::int64_t round = 0; round < num_rounds; round++) step();
  _tile_release();
  return static_cast<double>(num_rounds) * 4 * kTile * kTile;
}

}  // namespace
}  // namespace lmdeploy::ops::cpu
