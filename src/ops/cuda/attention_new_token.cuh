#pragma once
// The step's own token of a sequence in the decode kernel (NewTokens): queries and key are rotated on the way
// in, and the CTA whose split ends with the token puts key and value into the cache and, as the cache has
// them, among the tokens that it attends to.
#include "ops/cuda/attention_slabs.cuh"
#include "ops/cuda/rotation.cuh"
#include "ops/cuda/stored_row.cuh"

namespace lmdeploy::ops::cuda {

// Elements of a head in the registers of a warp, and those of their pairs that the warp has in other lanes,
// or in other registers of the same one.
template <int kHeadDim>
struct HeadPairs {
  static constexpr int kPerLane = kHeadDim / kWarpLen, kHalf = kHeadDim / 2;
  static constexpr bool kInOneLane = kHalf % kWarpLen == 0;

  float own[kPerLane];
  float other[kInOneLane ? 1 : kPerLane];

  __device__ void load(const float* from) {
    load_head(own, from, kHeadDim);
    if constexpr (!kInOneLane) {
#pragma unroll
      for (int i = 0; i < kPerLane; i++) {
        const int c = lane_idx() + kWarpLen * i;
        other[i] = from[c < kHalf ? c + kHalf : c - kHalf];
      }
    }
  }
  __device__ void copy(float (&x)[kPerLane]) const {
#pragma unroll
    for (int i = 0; i < kPerLane; i++) x[i] = own[i];
  }
  __device__ float partner(int i) const {
    if constexpr (kInOneLane)
      return own[(i + kPerLane / 2) % kPerLane];
    else
      return other[i];
  }
};

// The angles of a token: of each element of a head the cosine and sine of its pair.
template <int kHeadDim>
struct Angles {
  static constexpr int kPerLane = kHeadDim / kWarpLen, kHalf = kHeadDim / 2;
  float cosine[kPerLane], sine[kPerLane];

  __device__ void load(const float* row) {
#pragma unroll
    for (int i = 0; i < kPerLane; i++) {
      const int c = lane_idx() + kWarpLen * i, pair = c < kHalf ? c : c - kHalf;
      cosine[i] = row[pair];
      sine[i] = row[pair + kHalf];
    }
  }
  __device__ void rotate(const HeadPairs<kHeadDim>& head, float (&x)[kPerLane]) const {
#pragma unroll
    for (int i = 0; i < kPerLane; i++)
      x[i] = rotated(lane_idx() + kWarpLen * i < kHalf, head.own[i], head.partner(i), cosine[i], sine[i]);
  }
};

// A token's key and value as the cache keeps them, in shared memory: both rows, then scales and minima in the
// order of a stage's.
template <class Shape>
class TokenStage {
  using Kv = typename Shape::Kv;
  static constexpr int kHeadDim = Kv::kHeadDim, kPerLane = kHeadDim / kWarpLen;

 public:
  struct Place {
    char* half;  // of the page
    int offset;  // in the page
  };

  explicit __device__ TokenStage(char* shared) : shared_(shared) {}

  // By a warp: the key (half 0), as rope leaves it and without its centre, or the value (1).
  __device__ void put(int half, const float (&x)[kPerLane], const Place& place) const {
    char* row = shared_ + half * Kv::kRowBytes;
    if constexpr (Kv::kQuantized) {
      store_codes({row, parameters() + 2 * half, parameters() + 2 * half + 1}, x, kHeadDim, Kv::kBits);
    } else {
      store_floats(reinterpret_cast<typename Kv::Query*>(row), x, kHeadDim);
    }
    __syncwarp();
    char* to = place.half + (Kv::kQuantized ? kParameterBytes : 0) + place.offset * Kv::kRowBytes;
    if (lane_idx() < Kv::kChunks)
      reinterpret_cast<uint4*>(to)[lane_idx()] = reinterpret_cast<const uint4*>(row)[lane_idx()];
    if constexpr (Kv::kQuantized)
      if (lane_idx() < 2)
        reinterpret_cast<__half*>(place.half)[lane_idx() * kPageLen + place.offset] =
            parameters()[2 * half + lane_idx()];
  }

  // By the warp whose slab the token, `offset` of it, belongs to, once the slab is there.
  __device__ void insert(char* slab, int offset) const {
    for (int i = lane_idx(); i < 2 * Kv::kChunks; i += kWarpLen) {
      const int half = i / Kv::kChunks, chunk = i % Kv::kChunks;
      char* to = slab + half * Shape::kHalfBytes + SwizzledTile<Kv::kChunks>::idx(offset, chunk) * 16;
      *reinterpret_cast<uint4*>(to) = reinterpret_cast<const uint4*>(shared_)[i];
    }
    if constexpr (Kv::kQuantized)
      if (lane_idx() < 4)
        reinterpret_cast<__half*>(slab + 2 * Shape::kHalfBytes)[lane_idx() * Shape::kSlabLen + offset] =
            parameters()[lane_idx()];
    __syncwarp();
  }

 private:
  __device__ __half* parameters() const { return reinterpret_cast<__half*>(shared_ + 2 * Kv::kRowBytes); }

  char* shared_;
};

// A warp's part of a new token: the key (half 0), the value (1), or nothing (below 0). Loaded behind the wait
// and before the warp computes anything.
template <class Shape>
class NewToken {
  using Kv = typename Shape::Kv;
  static constexpr int kHeadDim = Kv::kHeadDim, kPerLane = kHeadDim / kWarpLen;

 public:
  // Before the wait: where the token belongs, and what is subtracted from it.
  __device__ NewToken(const AttentionArguments& a, const Sequence& seq, int kv_head, int half) : half_(half) {
    if (half_ < 0) return;
    const int token = seq.context_len - 1;
    const TokenPlace at = place_of(a.cache, token);
    char* page = page_of(a.cache, seq.block_table[at.block_idx], at.offset, kv_head);
    place_ = {page + half_ * a.cache.half_bytes, at.offset % kPageLen};
    if (is_centered(a)) load_head(center_, a.cache.key_centers + kv_head * kHeadDim, kHeadDim);
  }
  __device__ void load(const AttentionArguments& a, const Sequence& seq, int kv_head) {
    const NewTokens& tokens = a.new_tokens;
    const std::int64_t row = seq.first_row;
    if (half_ == 0) head_.load(tokens.keys + row * tokens.key_stride + kv_head * kHeadDim);
    if (half_ == 1) head_.load(tokens.values + row * tokens.value_stride + kv_head * kHeadDim);
  }
  __device__ void put(const AttentionArguments& a, const Angles<kHeadDim>& angles,
                      const TokenStage<Shape>& stage) {
    if (half_ < 0) return;
    if (half_ == 1) return stage.put(1, head_.own, place_);
    float key[kPerLane];
    angles.rotate(head_, key);
    if constexpr (Kv::kRotated) {
      if (is_centered(a)) {
#pragma unroll
        for (int i = 0; i < kPerLane; i++) key[i] -= center_[i];
      }
      rotate_head(key, kHeadDim);
    }
    stage.put(0, key, place_);
  }

 private:
  __device__ bool is_centered(const AttentionArguments& a) const {
    return Kv::kRotated && half_ == 0 && a.cache.key_centers != nullptr;
  }

  int half_;
  typename TokenStage<Shape>::Place place_{};
  float center_[kPerLane];
  HeadPairs<kHeadDim> head_;
};

}  // namespace lmdeploy::ops::cuda
