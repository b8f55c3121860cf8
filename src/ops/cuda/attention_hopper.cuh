#pragma once
// Prefill attention with Hopper's asynchronous products and copies, after FlashAttention-3 (Shah et al. 2024,
// section 3): a CTA of three warpgroups. One brings keys and values to shared memory, as 16-bit floats
// whatever the cache holds; the other two have 64 rows each and take turns at the tensor cores, so that one's
// softmax goes on beside the other's products; and each begins the products with the next keys before it has
// finished with the last values.
#include "ops/cuda/attention_units.cuh"
#include "ops/cuda/barrier.cuh"
#include "ops/cuda/wgmma.cuh"

namespace lmdeploy::ops::cuda {

struct HopperArguments {
  CUtensorMap pages;  // of a cache of floats: [block][page][K, V][64][head_dim]
  AttentionArguments attention;
};

template <class KvIn>
struct HopperShape {
  using Kv = KvIn;
  using Element = typename Kv::Query;  // of queries, keys, weights and values: fp16 for codes too
  static constexpr int kHeadDim = Kv::kHeadDim;
  static constexpr int kGroups = 2;  // warpgroups with rows
  static constexpr int kGroupRows = 64;
  static constexpr int kRows = kGroups * kGroupRows;
  static constexpr int kRowThreads = kGroups * kGroupThreads;
  static constexpr int kThreads = kRowThreads + kGroupThreads;
  static constexpr int kTokens = 128;  // of a tile
  static constexpr int kStages = 2;    // tiles of keys, and of values, at a time
  // Registers of a thread of the warpgroup that brings tiles, and of the two others. A CTA has what it begins
  // with, 168 for each; more are never handed out.
  static constexpr int kBringRegisters = Kv::kQuantized ? 72 : 40, kRowRegisters = Kv::kQuantized ? 216 : 232;
  static_assert(kBringRegisters + kGroups * kRowRegisters <= 3 * 168);

  // Shared memory. A tile of `n` rows is kColumns tiles of 128-byte rows (wgmma.cuh) one after another.
  static constexpr int kColumns = kHeadDim / kTileRowElements;
  static constexpr int kTokenColumnBytes = kTokens * kTileRowBytes,
                       kTokenBytes = kColumns * kTokenColumnBytes,
                       kQueryColumnBytes = kGroupRows * kTileRowBytes,
                       kQueryBytes = kColumns * kQueryColumnBytes;  // of a warpgroup
  static constexpr int kSlots = Kv::kQuantized ? 3 : 0;             // codes of a tile of keys or of values
  static constexpr int kPageBytes = kParameterBytes + kPageLen * Kv::kRowBytes,
                       kSlotBytes = kTokens / kPageLen * kPageBytes;
  static constexpr int kQueries = 0, kKeys = kGroups * kQueryBytes, kValues = kKeys + kStages * kTokenBytes,
                       kCodes = kValues + kStages * kTokenBytes, kFactors = kCodes + kSlots * kSlotBytes,
                       kKept = kFactors + kRows * static_cast<int>(sizeof(float)),
                       kTilesBytes =
                           kKept + kRowThreads * static_cast<int>(sizeof(float));  // a place of each thread
  static constexpr int kSharedBytes = kEightRowBytes + kTilesBytes;  // as it is not aligned so far by itself
};

// Barriers in shared memory, by stage.
struct HopperBarriers {
  unsigned keys_full, keys_empty, values_full, values_empty, codes_full;

  static constexpr int kBytes = 8, kCount = 2 * 4 + 3;
  explicit __device__ HopperBarriers(const std::uint64_t* barriers)
      : keys_full(shared_address(barriers)),
        keys_empty(keys_full + 2 * kBytes),
        values_full(keys_empty + 2 * kBytes),
        values_empty(values_full + 2 * kBytes),
        codes_full(values_empty + 2 * kBytes) {}

  // How many threads fill a tile, and how many warps are done with one. By one thread.
  __device__ void init(int num_filling, int num_emptying) const {
    for (unsigned stage = 0; stage < 2; stage++) {
      init_barrier(keys_full + stage * kBytes, num_filling);
      init_barrier(values_full + stage * kBytes, num_filling);
      init_barrier(keys_empty + stage * kBytes, num_emptying);
      init_barrier(values_empty + stage * kBytes, num_emptying);
    }
    for (unsigned slot = 0; slot < 3; slot++) init_barrier(codes_full + slot * kBytes, 1);
  }
};

// Barriers without memory.
enum NamedBarrier { kFirstTurn = 1, kFirstGroup = 3, kAllRows = 5, kBringers = 6 };

// The tiles of a unit. They begin at multiples of kTokens whatever the unit is, so that a row's result does
// not depend on it. Of pages that no row sees nothing is read.
template <int kTokens>
struct TileRange {
  int first_token, num_tiles;
  int begin, end;  // of the tokens that are there

  explicit __device__ TileRange(const Unit& unit)
      : first_token(unit.first_token / kTokens * kTokens),
        num_tiles(unit.end_token > first_token ? (unit.end_token - first_token + kTokens - 1) / kTokens : 0),
        begin(unit.first_token / kPageLen * kPageLen),
        end(min(unit.seq.context_len, (unit.end_token + kPageLen - 1) / kPageLen * kPageLen)) {}

  // Tiles are taken from the last one down, the masked ones first.
  __device__ int token(int tile) const { return first_token + tile * kTokens; }
  __device__ bool has_page(int page_token) const { return page_token + kPageLen > begin && page_token < end; }
  __device__ bool is_whole(int tile) const { return token(tile) >= begin && token(tile) + kTokens <= end; }
};

// The units of a CTA: its place in every round.
template <int kRows>
class OwnUnits {
 public:
  explicit __device__ OwnUnits(const AttentionArguments& a)
      : a_(a), blocks_(a), num_units_(blocks_.num_blocks() * a.cache.num_kv_heads) {}

  // By a whole warp. False: there are no more.
  __device__ bool next(Unit& unit) {
    const int idx = unit_at(a_, static_cast<int>(blockIdx.x) + round_++ * a_.num_multiprocessors);
    if (idx >= num_units_) return false;
    unit = unit_of(a_, blocks_, idx);
    return true;
  }

 private:
  const AttentionArguments& a_;
  RowBlocks<kRows> blocks_;
  int num_units_, round_ = 0;
};

}  // namespace lmdeploy::ops::cuda
