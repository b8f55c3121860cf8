#pragma once
// Units of a quantised matrix on their way through shared memory.
#include "ops/cuda/quantized_units.cuh"

namespace lmdeploy::ops::cuda {

// Where a warp keeps units that it has asked for. Words are read by the lane that asked for them, scales and
// zeros by others too.
template <class Shape>
struct UnitRing {
  static constexpr int kDepth = 8 / Shape::kChunks;                                 // 4 KB of words
  static constexpr int kZerosAt = static_cast<int>(sizeof(typename Shape::Scale));  // behind the scales
  static constexpr int kScaleVectors = kZerosAt + (Shape::kIntegers ? 1 : 0);
  static constexpr int kUnitVectors = Shape::kChunks * 32 + Shape::kSlots * kScaleVectors;
  static constexpr int kVectors = kDepth * kUnitVectors;
};

// A lane's part in asking for units: what does not change is worked out once.
template <class Shape>
class UnitSource {
 public:
  __device__ UnitSource(const QuantizedTiles& w, const uint4* ring, std::uint32_t lane)
      : w_(w),
        words_(static_cast<const uint4*>(w.words) + lane),
        scales_(lane < kZeros ? static_cast<const uint4*>(w.scales) + lane
                              : static_cast<const uint4*>(w.zeros)),
        group_vectors_(lane < kZeros ? kZeros : 1),
        has_scales_(lane < UnitRing<Shape>::kScaleVectors),
        ring_(shared_address(ring) + lane * kVector) {
    // Else the compiler works all of it out again for every unit.
    asm volatile("" : "+r"(ring_));
  }

  // Into place `place` of the ring.
  __device__ void fetch(int place, std::uint32_t tile, std::uint32_t unit_idx) const {
    const unsigned to = ring_ + place * (UnitRing<Shape>::kUnitVectors * kVector);
    const uint4* words =
        words_ + static_cast<std::uint64_t>(tile * w_.num_units + unit_idx) * (Shape::kChunks * 32);
#pragma unroll
    for (int i = 0; i < Shape::kChunks; i++) copy_once(to + i * 32 * kVector, words + i * 32);
    if (!has_scales_) return;
#pragma unroll
    for (int i = 0; i < Shape::kSlots; i++) {
      const std::uint32_t group =
          tile * w_.num_groups + group_of_slot<Shape>(w_, unit_idx * Shape::kSlots + i);
      copy_once(to + (Shape::kChunks * 32 + i * UnitRing<Shape>::kScaleVectors) * kVector,
                scales_ + static_cast<std::uint64_t>(group) * group_vectors_);
    }
  }

 private:
  static constexpr std::uint32_t kZeros = UnitRing<Shape>::kZerosAt, kVector = sizeof(uint4);

  const QuantizedTiles& w_;
  const uint4* words_;
  const uint4* scales_;          // or zeros
  std::uint32_t group_vectors_;  // between those of groups
  bool has_scales_;
  unsigned ring_;
};

// What has come: scales and zeros, and words of a chunk.
template <class Shape>
__device__ void load_scales(Unit<Shape>& unit, const uint4* place, std::uint32_t lane) {
  using Scales = StoredScales<typename Shape::Scale>;
#pragma unroll
  for (int i = 0; i < Shape::kSlots; i++) {
    const uint4* scales = place + Shape::kChunks * 32 + i * UnitRing<Shape>::kScaleVectors;
    unit.scales[i] = reinterpret_cast<const Scales*>(scales)[lane / 4];
    if constexpr (Shape::kIntegers)
      unit.zeros[i] = reinterpret_cast<const unsigned short*>(scales + UnitRing<Shape>::kZerosAt)[lane / 4];
  }
}
template <class Shape>
__device__ void load_chunk(Unit<Shape>& unit, int chunk, const uint4* place, std::uint32_t lane) {
  unit.words[chunk] = place[chunk * 32 + lane];
}
template <class Shape>
__device__ void load_unit(Unit<Shape>& unit, const uint4* place, std::uint32_t lane) {
#pragma unroll
  for (int i = 0; i < Shape::kChunks; i++) load_chunk(unit, i, place, lane);
  load_scales(unit, place, lane);
}

}  // namespace lmdeploy::ops::cuda
