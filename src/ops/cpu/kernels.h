#pragma once
// The serial kernels of one instruction set, as plain functions over plain structs. They are compiled once
// per instruction set (isa_*.cc) inside unnamed namespaces, and those files call no inline function of any
// other header: a copy of one that was compiled for AVX-512 could otherwise be the one that the linker keeps.
// Threads, shapes and memory are the business of the files that call them.
#include <cstdint>

#include "tensor/ctx.h"
#include "tensor/dtype.h"

namespace lmdeploy::ops::cpu {

// Columns of W (outputs) that lie side by side in a packed matrix.
inline constexpr std::int64_t kBlockColumns = 64;
// The narrowest tile of every instruction set, in columns.
inline constexpr std::int64_t kColumnUnit = 32;
// Rows and steps of x that tiles of AMX take: see Matmul::x_in_tiles.
inline constexpr std::int64_t kXTileRows = 32;
inline constexpr std::int64_t kXTileSteps = 16;
// Tokens of the KV cache that lie side by side, and of one step of the online softmax.
inline constexpr std::int64_t kTokenBlock = 64;
// Tokens whose attention is accumulated by itself, counted from position 0, before it is merged in order.
inline constexpr std::int64_t kSplitLen = 256;

// Inputs that lie together in one lane: two bf16 make one 32-bit operand of a dot product.
constexpr std::int64_t pair_of(DType dtype) {
  return dtype == DType::bf16 ? 2 : 1;
}

// y[r][c] = (accumulate ? y[r][c] : 0) + bias[c] + sum over steps of x[r] . w, in the order of the steps.
struct Matmul {
  const void* x = nullptr;    // [num_rows, num_steps * pair], f32 or bf16: see Kernels::bf16_dot
  std::int64_t x_stride = 0;  // elements
  // x is [num_rows / 32][num_steps / 16][32 rows][16 steps] instead, both rounded up, zero beyond num_steps.
  bool x_in_tiles = false;
  const void* w = nullptr;  // column c of step s: w + c / 64 * w_block_stride + s * w_step + c % 64 * pair
  std::int64_t w_block_stride = 0;  // elements
  std::int64_t w_step = 0;          // elements
  std::int64_t num_steps = 0;
  float* y = nullptr;  // [num_rows, ...]
  std::int64_t y_stride = 0;
  std::int64_t num_rows = 0;
  std::int64_t first_column = 0;  // a multiple of kBlockColumns
  std::int64_t end_column = 0;    // w is readable up to the next multiple of kColumnUnit
  const float* bias = nullptr;    // [end_column] or none
  bool accumulate = false;
  // Many rows pass over the weights in groups; they take this many steps at a time, so that what the first
  // group fetched is still near for the others. 0: all steps.
  std::int64_t steps_at_once = 0;
  std::int64_t fetch_distance = 0;  // bytes that the first group of rows reads ahead
  // What that group brings near instead, spread over its steps; w itself is near then.
  const char* next = nullptr;
  std::int64_t next_bytes = 0;
};

// One head of one token in a quantised cache.
struct QuantizedRow {
  std::uint8_t* codes;  // [head_dim], 0 .. 2^bits - 1
  f16_t* scale;
  f16_t* minimum;
};

// Running softmax of `num_rows` queries over a range of tokens.
struct SoftmaxState {
  float* max = nullptr;  // [num_rows], -inf before the first token
  float* sum = nullptr;  // [num_rows] of exp(score - max)
  float* acc = nullptr;  // [num_rows, acc_stride] sum of exp(score - max) * v
};

// One tile of queries, all of one sequence and one kv head.
struct AttentionTile {
  const void* q = nullptr;  // [num_rows, head_dim], f32 or bf16: see Kernels::bf16_dot
  std::int64_t num_rows = 0;
  std::int64_t group = 1;           // rows r with one r / group share a position
  std::int64_t first_position = 0;  // of row 0
  std::int64_t window = 0;          // 0: none
  float scale = 1;
  std::int64_t head_dim = 0;
  std::int64_t acc_stride = 0;  // head_dim rounded up to kColumnUnit
  const char* data = nullptr;   // K and V of 64 tokens of this kv head
  const char* next = nullptr;   // and those that will be asked for next, or null
  float* scores = nullptr;      // scratch [num_rows, kTokenBlock]
  void* weights = nullptr;      // scratch [num_rows, kTokenBlock] of q's type
  // Scratch for what cannot be multiplied where it lies, of the matmul's type: narrow blocks of values,
  // [kTokenBlock, kBlockColumns]; codes, [max(head_dim rounded up to 4, kBlockColumns), kTokenBlock].
  void* unpacked = nullptr;
};

// Index of f32, bf16, f16 in the tables below.
constexpr int dtype_idx(DType dtype) {
  return static_cast<int>(dtype);
}
inline constexpr int kNumFloatTypes = 3;
// Index of KvLayout::quant_bits.
constexpr int quant_idx(int quant_bits) {
  return quant_bits == 0 ? 0 : quant_bits == 8 ? 1 : 2;
}
inline constexpr int kNumQuants = 3;

struct Kernels {
  bool bf16_dot = false;  // bf16 weights and KV take a bf16 left operand; otherwise it is f32

  void (*matmul[kNumFloatTypes])(const Matmul&);
  bool bf16_tiles = false;  // matmul of bf16 takes x in tiles; it has to where the steps fill no whole tile
  // Adds the 64 tokens from first_token, a multiple of 64, to `state`.
  void (*attention[kNumQuants][kNumFloatTypes])(const AttentionTile&, std::int64_t first_token,
                                                const SoftmaxState& state);
  void (*merge_attention)(const SoftmaxState& total, const SoftmaxState& part, std::int64_t num_rows,
                          std::int64_t acc_stride);
  // y[c] = acc[c] / sum
  void (*finish_attention[kNumFloatTypes])(const float* acc, float sum, std::int64_t head_dim, void* y);

  void (*cast[kNumFloatTypes][kNumFloatTypes])(const void* x, void* y, std::int64_t count);  // [from][to]
  void (*rms_norm[kNumFloatTypes])(const float* x, const float* weight, float eps, std::int64_t count,
                                   void* y);
  void (*silu_mul[kNumFloatTypes])(const float* gate, const float* up, std::int64_t count, void* y);
  void (*rope)(float* x, const float* table, std::int64_t num_heads, std::int64_t head_dim);

  void (*rotate_head)(float* x, std::int64_t head_dim);  // of int4 keys, and of queries that meet them
  void (*quantize_row)(const float* x, std::int64_t count, int bits, const QuantizedRow& row);

  float (*max)(const float* x, std::int64_t count);  // NaN if there is one
  double (*sum_exp)(const float* x, float max, std::int64_t count);
  // y = exp((x - max) * scale); returns the sum.
  double (*exp)(const float* x, float max, float scale, std::int64_t count, float* y);

  std::uint64_t (*read)(const void* data, std::int64_t bytes);  // a plain read; bytes: a multiple of 256
  double (*multiply_adds)(std::int64_t num_rounds);             // from registers; returns how many it did
};

const Kernels& kernels(CpuIsa isa);

extern const Kernels kGenericKernels;
extern const Kernels kAvx2Kernels;
extern const Kernels kAvx512Kernels;

// What AMX adds to AVX-512 (isa_amx.cc). Here w is readable up to the next multiple of kBlockColumns.
void multiply_on_tiles(const Matmul& m);
double multiply_adds_on_tiles(std::int64_t num_rounds);

}  // namespace lmdeploy::ops::cpu
