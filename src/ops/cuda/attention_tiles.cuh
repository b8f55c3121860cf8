#pragma once
// How a tile of tokens comes to the prefill kernel's shared memory: keys and values as 16-bit floats, rows of
// swizzled 16-byte pieces. Floats of the cache are copied there one tile ahead; codes are copied one tile
// ahead too, and then taken apart by the whole CTA, once for all of its rows.
#include "ops/cuda/attention_prefill.cuh"
#include "ops/cuda/kv_codes.cuh"

namespace lmdeploy::ops::cuda {

struct Tile {
  const char* keys;
  const char* values;
  const TokenParameters* parameters;
};

// start(), then for every tile take(), which waits for it and starts the next. take() is a barrier: all warps
// are done with what it gave before. Tokens behind the sequence become 0: what lies there may be NaN, which a
// weight of 0 does not undo.
template <class Shape, bool kQuantized = Shape::Kv::kQuantized>
class TileStream;

template <class Shape>
class TileStream<Shape, false> {
 public:
  static constexpr int kSharedBytes = 2 * 2 * Shape::kHalfBytes;

  explicit __device__ TileStream(char* shared) : shared_(shared) {}

  __device__ void start(const AttentionArguments& a, const Sequence& seq, int kv_head, int token) {
    const char* keys = page_of_token(a, seq, token, kv_head) + token % kPageLen * Shape::Kv::kRowBytes;
    const unsigned stage = shared_address(shared_) + static_cast<unsigned>(next_ * 2 * Shape::kHalfBytes);
    copy_rows(keys, seq.context_len - token, stage);
    copy_rows(keys + a.cache.half_bytes, seq.context_len - token, stage + Shape::kHalfBytes);
    commit_copies();
    next_ ^= 1;
  }

  template <class StartNext>
  __device__ Tile take(const StartNext& start_next) {
    wait_copies<0>();
    __syncthreads();
    const char* keys = shared_ + (next_ ^ 1) * 2 * Shape::kHalfBytes;
    start_next();
    return {keys, keys + Shape::kHalfBytes, nullptr};
  }

 private:
  // Four threads have a row.
  static __device__ void copy_rows(const char* from, int num_valid, unsigned to) {
    constexpr int kRowsAtOnce = Shape::kThreads / 4;
    const int row = static_cast<int>(threadIdx.x) / 4, chunk = static_cast<int>(threadIdx.x) % 4;
    from += row * Shape::Kv::kRowBytes + chunk * 16;
    to += 16 * SwizzledTile<Shape::kChunks>::idx(row, chunk);
#pragma unroll
    for (int r = 0; r < Shape::kTileLen; r += kRowsAtOnce)
#pragma unroll
      for (int c = 0; c < Shape::kChunks; c += 4)
        copy_async(SwizzledTile<Shape::kChunks>::moved(to, r, c), from + r * Shape::Kv::kRowBytes + c * 16,
                   row + r < num_valid);
  }

  char* shared_;
  int next_ = 0;
};

template <class Shape>
class TileStream<Shape, true> {
  using Kv = typename Shape::Kv;
  static constexpr int kCodeBytes = Shape::kTileLen * Kv::kRowBytes;  // of keys, or of values
  static constexpr int kFloats = 0;                                   // where things lie
  static constexpr int kParameters = kFloats + 2 * Shape::kHalfBytes;
  static constexpr int kCodes = kParameters + Shape::kTileLen * static_cast<int>(sizeof(TokenParameters));
  static constexpr int kCodeParameters = kCodes + 2 * kCodeBytes;  // scales, minima of keys, of values

 public:
  static constexpr int kSharedBytes = kCodeParameters + 4 * Shape::kTileLen * 2;

  explicit __device__ TileStream(char* shared) : shared_(shared) {}

  __device__ void start(const AttentionArguments& a, const Sequence& seq, int kv_head, int token) {
    const char* page = page_of_token(a, seq, token, kv_head);
    const int offset = token % kPageLen;
    const unsigned to = shared_address(shared_);
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const char* keys_or_values = page + half * a.cache.half_bytes;
      copy(keys_or_values + kParameterBytes + offset * Kv::kRowBytes, to + kCodes + half * kCodeBytes,
           kCodeBytes);
#pragma unroll
      for (int i = 0; i < 2; i++)
        copy(keys_or_values + (i * kPageLen + offset) * 2,
             to + kCodeParameters + (2 * half + i) * Shape::kTileLen * 2, Shape::kTileLen * 2);
    }
    commit_copies();
  }

  template <class StartNext>
  __device__ Tile take(const StartNext& start_next) {
    wait_copies<0>();
    __syncthreads();
    expand<typename Kv::Query>(0);
    expand<typename Kv::Weight>(1);
    read_parameters();
    __syncthreads();
    start_next();
    return {shared_ + kFloats, shared_ + kFloats + Shape::kHalfBytes,
            reinterpret_cast<const TokenParameters*>(shared_ + kParameters)};
  }

 private:
  static __device__ void copy(const char* from, unsigned to, int bytes) {
#pragma unroll
    for (int i = static_cast<int>(threadIdx.x) * 16; i < bytes; i += Shape::kThreads * 16)
      copy_async(to + static_cast<unsigned>(i), from + i);
  }

  // Codes of keys (0) or values (1) become floats around 0, in the order of their dimensions.
  template <class T>
  __device__ void expand(int half) const {
    constexpr int kPieces = Shape::kTileLen * Kv::kChunks, kOutputs = 16 / Kv::kBits;  // for each piece
    const uint4* from = reinterpret_cast<const uint4*>(shared_ + kCodes + half * kCodeBytes);
    uint4* to = reinterpret_cast<uint4*>(shared_ + kFloats + half * Shape::kHalfBytes);
    unsigned thread = threadIdx.x;
    renew(thread);
#pragma unroll
    for (int i = 0; i < kPieces; i += Shape::kThreads) {
      const int idx = i + static_cast<int>(thread), row = idx / Kv::kChunks, chunk = idx % Kv::kChunks;
      if (kPieces % Shape::kThreads != 0 && idx >= kPieces) continue;
      const uint4 codes = from[idx];
      const unsigned words[4] = {codes.x, codes.y, codes.z, codes.w};
#pragma unroll
      for (int j = 0; j < kOutputs; j++)
        to[SwizzledTile<Shape::kChunks>::idx(row, chunk * kOutputs + j)] = expanded<T>(words, j);
    }
  }
  template <class T>
  static __device__ uint4 expanded(const unsigned (&words)[4], int j) {
    if constexpr (Kv::kBits == 8)
      return {bytes_to_floats<T, 0, 1>(words[2 * j]), bytes_to_floats<T, 2, 3>(words[2 * j]),
              bytes_to_floats<T, 0, 1>(words[2 * j + 1]), bytes_to_floats<T, 2, 3>(words[2 * j + 1])};
    else
      return {nibbles_to_floats<T>(words[j], 0), nibbles_to_floats<T>(words[j], 1),
              nibbles_to_floats<T>(words[j], 2), nibbles_to_floats<T>(words[j], 3)};
  }

  __device__ void read_parameters() const {
    const int token = static_cast<int>(threadIdx.x);
    if (token >= Shape::kTileLen) return;
    const __half* all = reinterpret_cast<const __half*>(shared_ + kCodeParameters) + token;
    const float key_scale = __half2float(all[0]), value_scale = __half2float(all[2 * Shape::kTileLen]);
    reinterpret_cast<TokenParameters*>(shared_ + kParameters)[token] = {
        key_scale, fmaf(key_scale, Kv::kCenter, __half2float(all[Shape::kTileLen])), value_scale,
        fmaf(value_scale, Kv::kCenter, __half2float(all[3 * Shape::kTileLen]))};
  }

  char* shared_;
};

template <class Shape>
struct TileQueries {
  char* queries;
  QueryRow* rows;
  int first_row;

  __device__ void operator()(int row, int c, typename Shape::Kv::Query element) const {
    char* piece = queries + SwizzledTile<Shape::kChunks>::idx(row - first_row, c / 8) * 16;
    reinterpret_cast<typename Shape::Kv::Query*>(piece)[c % 8] = element;
  }
  __device__ void operator()(int row, const QueryRow& query_row) const { rows[row - first_row] = query_row; }
};

// Queries of the CTA's rows, of which num_rows is the end in the sequence, to shared memory as PrefillWarp
// wants them. By the whole CTA, every warp kAtOnce of them at a time; a barrier must follow.
template <class Shape, int kAtOnce>
__device__ void stage_queries(const AttentionArguments& a, const Sequence& seq, int kv_head, int first_row,
                              int num_rows, char* queries, QueryRow* query_rows) {
  for (int row = static_cast<int>(threadIdx.x) / kWarpLen; row < Shape::kRows; row += Shape::kWarps * kAtOnce)
    prepare_queries<typename Shape::Kv, kAtOnce>(a, seq, kv_head, first_row + row, Shape::kWarps, num_rows,
                                                 TileQueries<Shape>{queries, query_rows, first_row});
}

}  // namespace lmdeploy::ops::cuda
