#pragma once
// A quantised matrix times many tokens with Hopper's asynchronous products. A CTA has four warpgroups with 64
// outputs each, a packed tile for every warp, which brings its own weights to shared memory and makes floats
// of them in registers while the tensor cores are busy with other warpgroups' products. Sums stay in
// registers over all inputs. Two more warps bring the tokens' inputs to shared memory.
//
// A lane has of every 32 inputs the eight from 8t on (quantized_layout.h), and feeds them to two
// instructions, whose k it holds as words t and t + 4, a word being two inputs. So inputs lie in shared
// memory with the 4 x 4 words of 32 of them transposed: word j of piece t is word t of piece j.
#include "ops/cuda/barrier.cuh"
#include "ops/cuda/chained_launch.cuh"
#include "ops/cuda/quantized_ring.cuh"
#include "ops/cuda/scaled_weights.cuh"
#include "ops/cuda/wgmma.cuh"

namespace lmdeploy::ops::cuda {

struct HopperGemm {
  QuantizedTiles w;
  QuantizedInputs inputs;
  std::int64_t n;
  int num_slices;
  int slice_units;
  LinearOutput out;  // of slices: y is [num_slices][m][n]
};

inline constexpr int kGemmGroups = 4;               // warpgroups with outputs
inline constexpr int kGemmRows = kGemmGroups * 64;  // outputs of a CTA at a time
inline constexpr int kGemmWarps = kGemmGroups * 4;  // each with a packed tile of them
inline constexpr int kBringThreads = 128;           // behind those
inline constexpr int kGemmThreads = kGemmWarps * 32 + kBringThreads;
// Registers of a thread with outputs, and of one that brings inputs. A CTA has what it begins with, 96 for
// each.
inline constexpr int kProductRegisters = 104, kBringRegisters = 64;
static_assert(kProductRegisters * kGemmGroups + kBringRegisters <= 96 * (kGemmGroups + 1));

// T: of x. Weights: UnitShape of long slots. kTokens: room for so many.
template <class TIn, class WeightsIn, int kTokensIn>
struct GemmShape {
  using T = TIn;
  using Weights = WeightsIn;
  static constexpr int kTokens = kTokensIn;
  // Atoms whose weights are made at once, as registers have room.
  static constexpr int kAtomsAtOnce = kTokens == 128 ? 1 : 2;
  // Inputs of a unit in shared memory: two tiles of 64 inputs, a row for each token (wgmma.cuh).
  static constexpr int kTileBytes = kTokens * kTileRowBytes, kStageBytes = 2 * kTileBytes,
                       kStages = kTokens == 128 ? 3 : 4;
  static constexpr int kDepth = Weights::kBits == 4 ? 6 : 3;  // units that a warp has asked for
  static constexpr int kRingVectors = kDepth * UnitRing<Weights>::kUnitVectors;
  static constexpr int kRings = kStages * kStageBytes;
  static constexpr int kSharedBytes =
      kEightRowBytes + kRings + kGemmWarps * kRingVectors * static_cast<int>(sizeof(uint4));
};

// What a CTA computes: one slice of the inputs for every so manieth tile of kGemmRows outputs.
struct GemmTiles {
  std::uint32_t first_unit, num_units;
  int slice, first, step, end;

  explicit __device__ GemmTiles(const HopperGemm& gemm)
      : slice(static_cast<int>(blockIdx.x) % gemm.num_slices),
        first(static_cast<int>(blockIdx.x) / gemm.num_slices),
        step(static_cast<int>(gridDim.x) / gemm.num_slices),
        end(static_cast<int>((gemm.w.num_tiles + kGemmWarps - 1) / kGemmWarps)) {
    first_unit = static_cast<std::uint32_t>(slice * gemm.slice_units);
    num_units = min(static_cast<std::uint32_t>(gemm.slice_units), gemm.w.num_units - first_unit);
  }
};

// Barriers in shared memory, by stage of inputs.
template <class Shape>
struct GemmBarriers {
  static constexpr int kBytes = 8, kCount = 2 * Shape::kStages;
  unsigned full, empty;

  explicit __device__ GemmBarriers(const std::uint64_t* barriers)
      : full(shared_address(barriers)), empty(full + Shape::kStages * kBytes) {}

  __device__ void init() const {
    for (unsigned stage = 0; stage < Shape::kStages; stage++) {
      init_barrier(full + stage * kBytes, kBringThreads);
      init_barrier(empty + stage * kBytes, kGemmWarps);
    }
  }
};

// The warpgroup that brings inputs, 32 tokens of a unit at a time, of which each thread has four pieces of 16
// bytes. Zeros of tokens that are not there.
template <class Shape>
class GemmInputs {
  using T = typename Shape::T;
  using Barriers = GemmBarriers<Shape>;
  static constexpr int kPartTokens = 32, kParts = Shape::kTokens / kPartTokens;
  static constexpr int kPassTokens = kBringThreads / 8,
                       kPasses = kPartTokens / kPassTokens;  // a piece of every thread

 public:
  __device__ GemmInputs(const HopperGemm& gemm, const Barriers& barriers, unsigned shared)
      : tiles_(gemm), barriers_(barriers), stride_(gemm.inputs.stride), m_(gemm.inputs.m) {
    const int thread = static_cast<int>(threadIdx.x) % kBringThreads, piece = thread % 8;
    token_ = thread / 8;
    from_ = static_cast<const T*>(gemm.inputs.x) + token_ * stride_ +
            tiles_.first_unit * std::int64_t{Shape::Weights::kInputs} + piece * kPieceInputs;
#pragma unroll
    for (int word = 0; word < 4; word++)
      to_[word] = shared + static_cast<unsigned>(tile_offset(token_, piece / 4 * 4 + word) + piece % 4 * 4);
  }

  __device__ void bring_all() {
    const int num_tiles = (tiles_.end - tiles_.first + tiles_.step - 1) / tiles_.step;
    const std::uint32_t total = static_cast<std::uint32_t>(num_tiles) * tiles_.num_units * kParts;
    uint4 pieces[2][kPasses][2];
    load(pieces[0]);
    for (std::uint32_t i = 0; i < total; i += 2) {
      load(pieces[1]);
      store(pieces[0]);
      if (i + 1 == total) break;
      load(pieces[0]);
      store(pieces[1]);
    }
  }

 private:
  // The next part. Behind the last one it begins again, for nobody.
  __device__ void load(uint4 (&pieces)[kPasses][2]) {
#pragma unroll
    for (int pass = 0; pass < kPasses; pass++) {
      const int row = load_part_ * kPartTokens + pass * kPassTokens;
      const T* from = from_ + row * stride_ + load_unit_ * Shape::Weights::kInputs;
#pragma unroll
      for (int half = 0; half < 2; half++)
        pieces[pass][half] =
            token_ + row < m_ ? *reinterpret_cast<const uint4*>(from + half * kTileRowElements) : uint4{};
    }
    if (++load_part_ < kParts) return;
    load_part_ = 0;
    if (++load_unit_ == tiles_.num_units) load_unit_ = 0;
  }

  __device__ void store(const uint4 (&pieces)[kPasses][2]) {
    const unsigned barrier = static_cast<unsigned>(ring_.stage * Barriers::kBytes);
    if (store_part_ == 0) wait_phase(barriers_.empty + barrier, ring_.parity ^ 1);
#pragma unroll
    for (int pass = 0; pass < kPasses; pass++)
#pragma unroll
      for (int half = 0; half < 2; half++) {
        const unsigned at =
            static_cast<unsigned>(ring_.stage * Shape::kStageBytes + half * Shape::kTileBytes +
                                  (store_part_ * kPartTokens + pass * kPassTokens) * kTileRowBytes);
        const uint4& piece = pieces[pass][half];
        put_word(to_[0] + at, piece.x);
        put_word(to_[1] + at, piece.y);
        put_word(to_[2] + at, piece.z);
        put_word(to_[3] + at, piece.w);
      }
    if (++store_part_ < kParts) return;
    store_part_ = 0;
    fence_async_accesses();
    arrive(barriers_.full + barrier);
    ring_.advance();
  }
  static __device__ void put_word(unsigned to, std::uint32_t word) {
    asm volatile("st.shared.b32 [%0], %1;" ::"r"(to), "r"(word) : "memory");
  }

  const GemmTiles tiles_;
  const Barriers barriers_;
  const std::int64_t stride_;
  const int m_;
  int token_;
  const T* from_;
  unsigned to_[4];
  int load_part_ = 0, store_part_ = 0;
  std::uint32_t load_unit_ = 0;
  StageRing<Shape::kStages> ring_;
};

}  // namespace lmdeploy::ops::cuda
