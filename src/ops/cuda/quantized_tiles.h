#pragma once
// How the kernels of quantised matrices walk over one, worked out on the host.
#include "ops/cuda/quantized_layout.h"

namespace lmdeploy::ops::cuda {

// Sums over a slot of inputs are scaled together: 128 inputs where groups are multiples of that, else 32.
inline constexpr int kLongSlotAtoms = 4;
inline constexpr int kShortSlotAtoms = 1;

inline int slot_atoms(const QuantizedLayout& layout) {
  return layout.padded_group() % (kLongSlotAtoms * kAtomInputs) == 0 ? kLongSlotAtoms : kShortSlotAtoms;
}

// A unit is what a warp fetches and computes at once: whole slots in whole chunks of one tile.
constexpr int unit_atoms(int bits, int slot_atoms) {
  return bits == 4 && slot_atoms == kShortSlotAtoms ? 2 : slot_atoms;
}

struct QuantizedTiles {
  const void* words = nullptr;
  const void* scales = nullptr;
  const void* zeros = nullptr;
  std::uint32_t num_tiles = 0;
  std::uint32_t num_units = 0;  // of a tile
  std::uint32_t num_groups = 0;
  // ceil(2^31 / slots_per_group): slot i is of the group that is the upper half of its product with 2i + 1.
  // (i + 1/2) / slots_per_group is at least 1 / (2 slots_per_group) from the next integer, and the rounding
  // adds i / 2^31.
  std::uint32_t half_slots_per_group_inverse = 0;
};

inline QuantizedTiles quantized_tiles(const QuantizedMatrixPointers& w) {
  const int slot = slot_atoms(w.layout);
  QuantizedTiles tiles;
  tiles.words = w.words();
  tiles.scales = w.scales();
  tiles.zeros = w.zeros();
  tiles.num_tiles = static_cast<std::uint32_t>(w.layout.num_tiles());
  tiles.num_units =
      static_cast<std::uint32_t>(w.layout.padded_k() / (unit_atoms(w.layout.bits, slot) * kAtomInputs));
  tiles.num_groups = static_cast<std::uint32_t>(w.layout.num_groups());
  const auto slots_per_group = static_cast<std::uint32_t>(w.layout.padded_group() / (slot * kAtomInputs));
  tiles.half_slots_per_group_inverse = (0x80000000U - 1) / slots_per_group + 1;
  return tiles;
}

}  // namespace lmdeploy::ops::cuda
