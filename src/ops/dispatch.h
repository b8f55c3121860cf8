#pragma once
#include "base/error.h"
#include "ops/key_signs.h"
#include "ops/kv_layer.h"
#include "tensor/ctx.h"

namespace lmdeploy::ops {

// Whether this build has the kernels of cuda/. In one without, `if constexpr` leaves their calls out.
#ifdef LMDEPLOY_CUDA
inline constexpr bool kHasCuda = true;
#else
inline constexpr bool kHasCuda = false;
#endif

// Every op asks this before it calls the kernels of its device's folder.
inline void check_device(const Ctx& ctx, const char* op) {
  CHECK(kHasCuda || ctx.device == Device::cpu, "{}: this build has CPU kernels only", op);
}

// Whether memory is only to be taken on a card, which need not be there.
inline bool only_plans(const Ctx& ctx) {
  return ctx.device == Device::cuda && ctx.stream == nullptr;
}

// What the kernels ask of a KV cache.
inline void check_layer(const KvLayer& cache, const char* op) {
  const KvLayout& layout = cache.layout;
  CHECK(layout.dtype == DType::f32 || layout.dtype == DType::bf16 || layout.dtype == DType::f16,
        "{}: no cache of {}", op, dtype_name(layout.dtype));
  CHECK(layout.head_dim > 0 && layout.head_dim % 2 == 0 && layout.num_kv_heads > 0 && layout.block_len > 0 &&
            layout.block_len % 64 == 0,
        "{}: a cache of {} heads of {}, {} tokens a block", op, layout.num_kv_heads, layout.head_dim,
        layout.block_len);
  CHECK(layout.quant_bits == 0 || layout.quant_bits == 8 || layout.quant_bits == 4, "{}: a cache of {} bits",
        op, layout.quant_bits);
  CHECK(layout.head_dim <= kMaxHeadDim, "{}: head_dim {}, {} at most", op, layout.head_dim, kMaxHeadDim);
  CHECK(cache.block_stride >= layout.block_bytes(), "{}: blocks of {} bytes at a stride of {}", op,
        layout.block_bytes(), cache.block_stride);
}

}  // namespace lmdeploy::ops
