#pragma once
// Units of a quantised matrix on their way through shared memory.
#include "ops/cuda/quantized_units.cuh"

namespace lmdeploy::ops::cuda {

// Tiles of which a warp takes the same unit at once, so that their products are under way together and share
// what is the same for both: the inputs, and the work around a unit. Where a unit is long enough alone, one.
constexpr int tiles_at_once(int bits) {
  return bits == 4 ? 2 : 1;
}

// Where a warp keeps units that it has asked for. Words are read by the lane that asked for them, scales and
// zeros by others too. A place: units of kTiles tiles, each its words, then of each slot scales and zeros.
template <class Shape, int kTilesIn = tiles_at_once(Shape::kBits)>
struct UnitRing {
  static constexpr int kTiles = kTilesIn;
  static constexpr int kDepth = 8 / (Shape::kChunks * kTiles);                      // 4 KB of words
  static constexpr int kZerosAt = static_cast<int>(sizeof(typename Shape::Scale));  // behind the scales
  static constexpr int kScaleVectors = kZerosAt + (Shape::kIntegers ? 1 : 0);
  static constexpr int kUnitVectors = Shape::kChunks * 32 + Shape::kSlots * kScaleVectors;
  static constexpr int kPlaceVectors = kTiles * kUnitVectors;
  static constexpr int kVectors = kDepth * kPlaceVectors;
};

// A lane's part in asking for units: what does not change is worked out once. tile_distance: between the
// tiles of a place.
template <class Shape, int kTiles = tiles_at_once(Shape::kBits)>
class UnitSource {
  using Ring = UnitRing<Shape, kTiles>;

 public:
  __device__ UnitSource(const QuantizedTiles& w, std::uint32_t tile_distance, const uint4* ring,
                        std::uint32_t lane)
      : w_(w),
        tile_distance_(tile_distance),
        words_(static_cast<const uint4*>(w.words) + lane),
        ring_(shared_address(ring) + lane * kVector),
        has_scales_(lane < Ring::kTiles * Ring::kScaleVectors) {
    const std::uint32_t tile = lane / Ring::kScaleVectors, i = lane % Ring::kScaleVectors;
    scales_ = i < kZeros ? static_cast<const uint4*>(w.scales) + i : static_cast<const uint4*>(w.zeros);
    group_vectors_ = i < kZeros ? kZeros : 1;
    scales_tile_ = tile * tile_distance;
    // Else the compiler works all of it out again for every unit.
    asm volatile("" : "+r"(ring_), "+r"(scales_tile_));
  }

  // Into the second-level cache, where the card can: words from a unit on to the end of its tile, kUnitsAhead
  // of them at most. By one lane for each tile of a place.
  __device__ void prefetch(std::uint32_t tile, std::uint32_t num_tiles, std::uint32_t unit_idx) const {
    constexpr std::uint32_t kUnitsAhead = 32;
    const std::uint32_t lane = threadIdx.x % 32;
    if (lane >= Ring::kTiles || lane >= num_tiles) return;
    const uint4* words =
        static_cast<const uint4*>(w_.words) +
        static_cast<std::uint64_t>((tile + lane * tile_distance_) * w_.num_units + unit_idx) *
            (Shape::kChunks * 32);
    prefetch_bulk(words, min(w_.num_units - unit_idx, kUnitsAhead) * (Shape::kChunks * 32 * kVector));
  }

  // Into place `place` of the ring: of num_tiles tiles, of kTiles if there are more.
  __device__ void fetch(int place, std::uint32_t tile, std::uint32_t num_tiles,
                        std::uint32_t unit_idx) const {
    const unsigned to = ring_ + place * (Ring::kPlaceVectors * kVector);
    const std::uint32_t words_distance = tile_distance_ * w_.num_units * (Shape::kChunks * 32);
    const uint4* words =
        words_ + static_cast<std::uint64_t>(tile * w_.num_units + unit_idx) * (Shape::kChunks * 32);
#pragma unroll
    for (int r = 0; r < Ring::kTiles; r++, words += words_distance) {
      if (r > 0 && num_tiles == 1) break;
#pragma unroll
      for (int i = 0; i < Shape::kChunks; i++)
        copy_once(to + (r * Ring::kUnitVectors + i * 32) * kVector, words + i * 32);
    }
    const bool is_second = Ring::kTiles > 1 && scales_tile_ != 0;
    if (!has_scales_ || (is_second && num_tiles == 1)) return;
    const unsigned scales_to =
        to + (Shape::kChunks * 32 + (is_second ? Ring::kUnitVectors - Ring::kScaleVectors : 0)) * kVector;
#pragma unroll
    for (int i = 0; i < Shape::kSlots; i++) {
      const std::uint32_t group =
          (tile + scales_tile_) * w_.num_groups + group_of_slot<Shape>(w_, unit_idx * Shape::kSlots + i);
      copy_once(scales_to + i * (Ring::kScaleVectors * kVector),
                scales_ + static_cast<std::uint64_t>(group) * group_vectors_);
    }
  }

 private:
  static constexpr std::uint32_t kZeros = Ring::kZerosAt, kVector = sizeof(uint4);

  const QuantizedTiles& w_;
  std::uint32_t tile_distance_;
  const uint4* words_;
  unsigned ring_;
  const uint4* scales_;          // or zeros
  std::uint32_t group_vectors_;  // between those of groups
  std::uint32_t scales_tile_;    // the distance of the tile whose scales the lane asks for
  bool has_scales_;
};

// What has come: scales and zeros, and words of a chunk, of the unit that lies at `from`.
template <class Shape>
__device__ void load_scales(Unit<Shape>& unit, const uint4* from, std::uint32_t lane) {
  using Scales = StoredScales<typename Shape::Scale>;
#pragma unroll
  for (int i = 0; i < Shape::kSlots; i++) {
    const uint4* scales = from + Shape::kChunks * 32 + i * UnitRing<Shape>::kScaleVectors;
    unit.scales[i] = reinterpret_cast<const Scales*>(scales)[lane / 4];
    if constexpr (Shape::kIntegers)
      unit.zeros[i] = reinterpret_cast<const unsigned short*>(scales + UnitRing<Shape>::kZerosAt)[lane / 4];
  }
}
template <class Shape>
__device__ void load_chunk(Unit<Shape>& unit, int chunk, const uint4* from, std::uint32_t lane) {
  unit.words[chunk] = from[chunk * 32 + lane];
}
template <class Shape>
__device__ void load_unit(Unit<Shape>& unit, const uint4* from, std::uint32_t lane) {
#pragma unroll
  for (int i = 0; i < Shape::kChunks; i++) load_chunk(unit, i, from, lane);
  load_scales(unit, from, lane);
}

}  // namespace lmdeploy::ops::cuda
