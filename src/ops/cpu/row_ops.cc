// The ops that treat every row by itself.
#include <cmath>

#include "ops/cpu/cpu_ops.h"
#include "ops/cpu/kernels.h"
#include "ops/cpu/parallel.h"
#include "ops/cpu/quantized_layout.h"

namespace lmdeploy::ops::cpu {

void embed(Ctx& ctx, std::span<const std::int32_t> ids, const View& table, const View& y) {
  const auto cast = kernels(ctx.cpu_isa).cast[dtype_idx(table.dtype)][dtype_idx(DType::f32)];
  parallel_rows(ctx, y.dim(0), y.dim(1), [&](std::int64_t row) {
    cast(element(table, ids[static_cast<std::size_t>(row)]), y.row<float>(row), y.dim(1));
  });
}

namespace {

template <class T>
void unpack_row(const PackedMatrix& table, std::int64_t id, float* y) {
  const std::int64_t pair = pair_of(table.dtype()), step = kBlockColumns * pair;
  const T* row = static_cast<const T*>(table.data.view().data) +
                 id / kBlockColumns * ((table.k + pair - 1) / pair) * step + id % kBlockColumns * pair;
  for (std::int64_t c = 0; c < table.k; c++) y[c] = to_float(row[c / pair * step + c % pair]);
}

}  // namespace

void embed(Ctx& ctx, std::span<const std::int32_t> ids, const PackedMatrix& table, const View& y) {
  constexpr std::int64_t kMissCost = 8;  // every pair lies in a cache line of its own
  parallel_rows(ctx, y.dim(0), y.dim(1) * kMissCost, [&](std::int64_t row) {
    const std::int64_t id = ids[static_cast<std::size_t>(row)];
    if (table.format.quant)
      unpack_quantized_row(table, id, y.row<float>(row));
    else if (table.dtype() == DType::bf16)
      unpack_row<bf16_t>(table, id, y.row<float>(row));
    else if (table.dtype() == DType::f16)
      unpack_row<f16_t>(table, id, y.row<float>(row));
    else
      unpack_row<float>(table, id, y.row<float>(row));
  });
}

void rms_norm(Ctx& ctx, const View& x, const View& weight, float eps, const View& y) {
  const auto norm = kernels(ctx.cpu_isa).rms_norm[dtype_idx(y.dtype)];
  const std::int64_t d = weight.dim(0), per_row = x.shape.rank() == 3 ? x.dim(1) : 1;
  parallel_rows(ctx, x.dim(0), per_row * d, [&](std::int64_t row) {
    for (std::int64_t i = 0; i < per_row; i++)
      norm(x.row<float>(row) + i * d, weight.as<float>(), eps, d, element(y, row, i * d));
  });
}

void rope_table(Ctx& ctx, std::span<const std::int32_t> positions, std::span<const float> inv_freq,
                float scale, const View& y) {
  constexpr std::int64_t kSinCost = 32;
  const auto half = static_cast<std::int64_t>(inv_freq.size());
  parallel_rows(ctx, y.dim(0), half * kSinCost, [&](std::int64_t row) {
    const auto position = static_cast<float>(positions[static_cast<std::size_t>(row)]);
    float* out = y.row<float>(row);
    for (std::int64_t j = 0; j < half; j++) {
      const float angle = position * inv_freq[static_cast<std::size_t>(j)];
      out[j] = std::cos(angle) * scale;
      out[half + j] = std::sin(angle) * scale;
    }
  });
}

void rope(Ctx& ctx, const View& x, const View& table) {
  const auto rotate = kernels(ctx.cpu_isa).rope;
  parallel_rows(ctx, x.dim(0), x.dim(1) * x.dim(2), [&](std::int64_t row) {
    rotate(x.row<float>(row), table.row<float>(row), x.dim(1), x.dim(2));
  });
}

void silu_mul(Ctx& ctx, const View& x, const View& y) {
  constexpr std::int64_t kExpCost = 4;
  const auto activate = kernels(ctx.cpu_isa).silu_mul[dtype_idx(y.dtype)];
  const std::int64_t k = y.dim(1);
  parallel_rows(ctx, y.dim(0), k * kExpCost, [&](std::int64_t row) {
    activate(x.row<float>(row), x.row<float>(row) + k, k, element(y, row));
  });
}

void cast(Ctx& ctx, const View& x, const View& y) {
  const auto convert = kernels(ctx.cpu_isa).cast[dtype_idx(x.dtype)][dtype_idx(y.dtype)];
  parallel_rows(ctx, x.dim(0), x.dim(1),
                [&](std::int64_t row) { convert(element(x, row), element(y, row), x.dim(1)); });
}

namespace {

template <class Bits>
void gather_row(const char* x, std::span<const std::int32_t> order, char* y) {
  const auto* from = reinterpret_cast<const Bits*>(x);
  auto* to = reinterpret_cast<Bits*>(y);
  for (std::size_t j = 0; j < order.size(); j++) to[j] = from[order[j]];
}

}  // namespace

void gather_columns(Ctx& ctx, const View& x, const View& order, const View& y) {
  const std::span<const std::int32_t> columns(order.as<std::int32_t>(),
                                              static_cast<std::size_t>(order.dim(0)));
  const auto gather = dtype_bytes(x.dtype) == 4 ? gather_row<std::uint32_t> : gather_row<std::uint16_t>;
  parallel_rows(ctx, x.dim(0), order.dim(0),
                [&](std::int64_t row) { gather(element(x, row), columns, element(y, row)); });
}

}  // namespace lmdeploy::ops::cpu
