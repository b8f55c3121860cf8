#pragma once
// How keys and values come to the Hopper kernel's tiles. Pages of floats are copied as boxes of a tensor,
// which swizzles them on the way. Pages of codes are copied as they lie, two tiles of keys or values ahead,
// and a warpgroup makes fp16 of them: scale * code + minimum, rounded once.
#include "ops/cuda/attention_hopper.cuh"

#ifdef __CUDA_ARCH_FEAT_SM90_ALL
namespace lmdeploy::ops::cuda {

// A page of a tile in the cache.
struct PagePlace {
  std::int64_t block;
  int page;  // of the block, counted over tokens and kv heads
};
__device__ inline PagePlace page_place(const AttentionArguments& a, const Unit& unit, int page_token) {
  const TokenPlace place = place_of(a.cache, page_token);
  return {unit.seq.block_table[place.block_idx],
          place.offset / kPageLen * a.cache.num_kv_heads + unit.kv_head};
}

// By the first warp of a warpgroup.
template <class Shape>
class FloatTiles {
  using Range = TileRange<Shape::kTokens>;
  using Ring = StageRing<Shape::kStages>;

 public:
  __device__ FloatTiles(const HopperArguments& arguments, const HopperBarriers& barriers, const char* shared)
      : arguments_(arguments), barriers_(barriers), shared_(shared_address(shared)) {}

  __device__ void bring_all() {
    if (threadIdx.x >= kWarpLen) return;
    OwnUnits<Shape::kRows> units(arguments_.attention);
    Unit unit;
    while (units.next(unit)) {
      const Range range(unit);
      for (int tile = range.num_tiles - 1; tile >= 0; tile--, ring_.advance()) {
        bring(unit, range, range.token(tile), 0, barriers_.keys_empty, barriers_.keys_full, Shape::kKeys);
        bring(unit, range, range.token(tile), 1, barriers_.values_empty, barriers_.values_full,
              Shape::kValues);
      }
    }
  }

 private:
  // half: 0 for keys, 1 for values.
  __device__ void bring(const Unit& unit, const Range& range, int token, int half, unsigned empty,
                        unsigned full, int tiles) {
    const unsigned barrier_offset = static_cast<unsigned>(ring_.stage * HopperBarriers::kBytes);
    wait_phase(empty + barrier_offset, ring_.parity ^ 1);
    if (lane_idx() != 0) return;
    const bool has[2] = {range.has_page(token), range.has_page(token + kPageLen)};
    const unsigned barrier = full + barrier_offset;
    arrive_expecting(barrier, (static_cast<int>(has[0]) + static_cast<int>(has[1])) * kPageLen *
                                  Shape::kHeadDim * static_cast<int>(sizeof(typename Shape::Element)));
#pragma unroll
    for (int i = 0; i < 2; i++) {
      if (!has[i]) continue;
      const PagePlace place = page_place(arguments_.attention, unit, token + i * kPageLen);
#pragma unroll
      for (int column = 0; column < Shape::kColumns; column++)
        copy_box(
            shared_ + static_cast<unsigned>(tiles + ring_.stage * Shape::kTokenBytes +
                                            column * Shape::kTokenColumnBytes + i * kPageLen * kTileRowBytes),
            arguments_.pages, {column * kTileRowElements, 0, half, place.page, static_cast<int>(place.block)},
            barrier);
    }
  }

  const HopperArguments& arguments_;
  const HopperBarriers barriers_;
  const unsigned shared_;
  Ring ring_;
};

// The tiles of a CTA's units one after another.
template <class Shape>
struct TileCursor {
  OwnUnits<Shape::kRows> units;
  Unit unit;
  TileRange<Shape::kTokens> range;
  int tile = 0;

  explicit __device__ TileCursor(const AttentionArguments& a) : units(a), unit{}, range(unit) {}

  // By a whole warp. False: there are no more.
  __device__ bool next() {
    while (--tile < 0) {
      if (!units.next(unit)) return false;
      range = TileRange<Shape::kTokens>(unit);
      tile = range.num_tiles;
    }
    return true;
  }
  __device__ int token() const { return range.token(tile); }
};

// By a whole warpgroup. Its first warp starts copies of codes to kSlots places that are used in turn.
template <class Shape>
class CodeTiles {
  using Kv = typename Shape::Kv;
  using Element = typename Shape::Element;
  static_assert(std::is_same_v<Element, __half>);

 public:
  __device__ CodeTiles(const HopperArguments& arguments, const HopperBarriers& barriers, char* shared)
      : a_(arguments.attention), barriers_(barriers), shared_(shared), ahead_(a_) {}

  __device__ void bring_all() {
    for (int slot = 0; slot < Shape::kSlots; slot++) start_next();
    TileCursor<Shape> tiles(a_);
    while (tiles.next()) {
      bring(tiles, barriers_.keys_empty, barriers_.keys_full, Shape::kKeys);
      bring(tiles, barriers_.values_empty, barriers_.values_full, Shape::kValues);
      ring_.advance();
    }
  }

 private:
  // The codes of keys of the next tile, or of its values.
  __device__ void start_next() {
    if (threadIdx.x >= kWarpLen || (!ahead_has_keys_ && !ahead_.next())) return;
    const int half = ahead_has_keys_ ? 1 : 0, token = ahead_.token();
    ahead_has_keys_ = !ahead_has_keys_;
    const unsigned to = shared_address(shared_) +
                        static_cast<unsigned>(Shape::kCodes + ahead_slots_.stage * Shape::kSlotBytes),
                   barrier = codes_full(ahead_slots_.stage);
    ahead_slots_.advance();
    if (lane_idx() != 0) return;
    const bool has[2] = {ahead_.range.has_page(token), ahead_.range.has_page(token + kPageLen)};
    arrive_expecting(barrier, (static_cast<int>(has[0]) + static_cast<int>(has[1])) * Shape::kPageBytes);
    for (int i = 0; i < 2; i++) {
      if (!has[i]) continue;
      const PagePlace place = page_place(a_, ahead_.unit, token + i * kPageLen);
      copy_bulk(
          to + static_cast<unsigned>(i * Shape::kPageBytes),
          a_.cache.data + place.block * a_.cache.block_stride + (2 * place.page + half) * a_.cache.half_bytes,
          Shape::kPageBytes, barrier);
    }
  }

  __device__ void bring(const TileCursor<Shape>& tiles, unsigned empty, unsigned full, int to) {
    const unsigned barrier_offset = static_cast<unsigned>(ring_.stage * HopperBarriers::kBytes);
    wait_phase(codes_full(slots_.stage), slots_.parity);
    wait_phase(empty + barrier_offset, ring_.parity ^ 1);
    expand(tiles.range, tiles.token(), shared_ + Shape::kCodes + slots_.stage * Shape::kSlotBytes,
           shared_ + to + ring_.stage * Shape::kTokenBytes);
    fence_async_accesses();
    arrive(full + barrier_offset);
    sync_threads(kBringers, kGroupThreads);  // all are done with the slot
    slots_.advance();
    start_next();
  }

  __device__ unsigned codes_full(int slot) const {
    return barriers_.codes_full + static_cast<unsigned>(slot * HopperBarriers::kBytes);
  }

  // Codes of two pages become a tile. Tokens that are not there become 0.
  __device__ void expand(const TileRange<Shape::kTokens>& range, int token, const char* codes,
                         char* tile) const {
    constexpr int kPieces = Shape::kHeadDim / 8;  // of a row, eight elements each
    static_assert(Shape::kTokens * kPieces % kGroupThreads == 0);
#pragma unroll 4
    for (int first = 0; first < Shape::kTokens * kPieces; first += kGroupThreads) {
      const int idx = first + static_cast<int>(threadIdx.x), row = idx / kPieces, piece = idx % kPieces;
      const bool is_there = token + row >= range.begin && token + row < range.end;
      *reinterpret_cast<uint4*>(tile + piece / 8 * Shape::kTokenColumnBytes + tile_offset(row, piece % 8)) =
          is_there ? expanded(codes + row / kPageLen * Shape::kPageBytes, row % kPageLen, piece) : uint4{};
    }
  }

  static __device__ uint4 expanded(const char* page, int row, int piece) {
    const __half* parameters = reinterpret_cast<const __half*>(page) + row;
    const __half2 scale = __half2half2(parameters[0]), minimum = __half2half2(parameters[kPageLen]);
    const char* codes = page + kParameterBytes + row * Kv::kRowBytes + piece * Kv::kBits;
    if constexpr (Kv::kBits == 8) {
      const uint2 words = *reinterpret_cast<const uint2*>(codes);
      return {number_pair(byte_pair<0, 1>(words.x), scale, minimum),
              number_pair(byte_pair<2, 3>(words.x), scale, minimum),
              number_pair(byte_pair<0, 1>(words.y), scale, minimum),
              number_pair(byte_pair<2, 3>(words.y), scale, minimum)};
    } else {
      const unsigned word = *reinterpret_cast<const unsigned*>(codes);
      return {number_pair(nibble_pair(word), scale, minimum),
              number_pair(nibble_pair(word >> 4), scale, minimum),
              number_pair(nibble_pair(word >> 8), scale, minimum),
              number_pair(nibble_pair(word >> 12), scale, minimum)};
    }
  }
  // Two codes below the exponents of two 1024s in fp16, which they add to.
  template <int kLow, int kHigh>
  static __device__ unsigned byte_pair(unsigned word) {
    return __byte_perm(word, 0x64646464, 0x4040 | kLow | kHigh << 8);
  }
  static __device__ unsigned nibble_pair(unsigned word) { return (word & 0x000f000f) | 0x64006400; }
  // The largest number may lie half a step of the scale beyond fp16. NaN stays.
  static __device__ unsigned number_pair(unsigned codes, __half2 scale, __half2 minimum) {
    const __half2 whole = __hsub2(reinterpret_cast<const __half2&>(codes), __float2half2_rn(1024)),
                  x = __hmin2_nan(__hfma2(whole, scale, minimum), __float2half2_rn(65504));
    return reinterpret_cast<const unsigned&>(x);
  }

  const AttentionArguments& a_;
  const HopperBarriers barriers_;
  char* shared_;
  TileCursor<Shape> ahead_;  // of the first warp
  bool ahead_has_keys_ = false;
  StageRing<Shape::kSlots> ahead_slots_, slots_;
  StageRing<Shape::kStages> ring_;
};

}  // namespace lmdeploy::ops::cuda
#endif
