#include "ops/cpu/quantized_inputs.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "ops/cpu/parallel.h"

namespace lmdeploy::ops::cpu {
namespace {

// What the rounded inputs of a row or group are multiples of.
struct Int8Scale {
  float scale = 0;
  float inverse = 0;
};

// Below this the inverse might overflow: such inputs count as 0.
constexpr float kLeastMagnitude = 0x1p-100F;

Int8Scale int8_scale(float largest_magnitude) {
  constexpr float kMaxInt8 = 127;
  if (std::isnan(largest_magnitude)) return {std::numeric_limits<float>::quiet_NaN(), 0};
  if (largest_magnitude < kLeastMagnitude) return {};
  return {largest_magnitude / kMaxInt8, kMaxInt8 / largest_magnitude};
}

// Rounds rows of x, each group filled up with zeros to whole spans.
class Rounding {
 public:
  Rounding(Ctx& ctx, const View& x, Activations activations, const QuantizedLayout& layout)
      : kernels_(quantized_kernels(ctx.cpu_isa)), x_(x), activations_(activations), layout_(layout) {
    const std::int64_t unit = kernels_.int8_row_unit, num_rows = (x.dim(0) + unit - 1) / unit * unit;
    q_ = ctx.workspace->take(DType::i8, {num_rows, layout.padded_k()});
    scales_ = ctx.workspace->take(DType::f32, {x.dim(0), layout.num_spans()});
    sums_ = ctx.workspace->take(DType::f32, {x.dim(0), layout.num_spans()});
    parallel_rows(ctx, x.dim(0), x.dim(1), [&](std::int64_t row) { round_row(row); });
  }

  QuantizedInputs result() const {
    return {DType::i8, q_.data, q_.row_stride, scales_.as<float>(), sums_.as<float>()};
  }

 private:
  Int8Scale scale_of(std::int64_t row, std::int64_t first, std::int64_t count) const {
    return int8_scale(kernels_.largest_magnitude[dtype_idx(x_.dtype)](element(x_, row, first), count));
  }

  void round_row(std::int64_t row) const {
    const std::int64_t group_size = layout_.format.group_size;
    if (layout_.padded_group_len() != group_size)
      std::memset(q_.row<std::int8_t>(row), 0, static_cast<std::size_t>(layout_.padded_k()));
    Int8Scale scale;
    if (activations_ == Activations::int8_per_row) scale = scale_of(row, 0, x_.dim(1));
    for (std::int64_t group = 0; group < layout_.num_groups; group++) {
      if (activations_ == Activations::int8_per_group) scale = scale_of(row, group * group_size, group_size);
      for (std::int64_t part = 0; part < layout_.spans_per_group; part++) {
        const std::int64_t span = group * layout_.spans_per_group + part;
        scales_.row<float>(row)[span] = scale.scale;
        sums_.row<float>(row)[span] = kernels_.round_to_int8[dtype_idx(x_.dtype)](
            element(x_, row, group * group_size + part * layout_.span_len), layout_.span_inputs(part),
            scale.inverse, q_.row<std::int8_t>(row) + span * layout_.span_len);
      }
    }
  }

  const QuantizedKernels& kernels_;
  const View& x_;
  Activations activations_;
  const QuantizedLayout& layout_;
  View q_;       // [>= m, padded_k] i8
  View scales_;  // [m, num_spans] f32
  View sums_;    // [m, num_spans] f32
};

QuantizedInputs float_inputs(Ctx& ctx, const View& x, DType type, const QuantizedLayout& layout) {
  const std::int64_t k = x.dim(1), group_size = layout.format.group_size;
  const std::int64_t padded = layout.padded_group_len();
  if (x.dtype == type && padded == group_size) return {type, x.data, x.row_stride};
  const View copy = ctx.workspace->take(type, {x.dim(0), layout.padded_k()});
  const auto cast = kernels(ctx.cpu_isa).cast[dtype_idx(x.dtype)][dtype_idx(type)];
  const auto pad_bytes = static_cast<std::size_t>(padded - group_size) * dtype_bytes(type);
  parallel_rows(ctx, x.dim(0), k, [&](std::int64_t row) {
    if (padded == group_size) return cast(element(x, row), element(copy, row), k);
    for (std::int64_t group = 0; group < layout.num_groups; group++) {
      cast(element(x, row, group * group_size), element(copy, row, group * padded), group_size);
      std::memset(element(copy, row, group * padded + group_size), 0, pad_bytes);
    }
  });
  return {type, copy.data, copy.row_stride};
}

}  // namespace

QuantizedInputs quantized_inputs(Ctx& ctx, const View& x, const PackedMatrix& w,
                                 const QuantizedLayout& layout) {
  if (w.format.activations != Activations::as_they_are)
    return Rounding(ctx, x, w.format.activations, layout).result();
  const bool bf16 = w.dtype() == DType::bf16 && kernels(ctx.cpu_isa).bf16_dot;
  return float_inputs(ctx, x, bf16 ? DType::bf16 : DType::f32, layout);
}

}  // namespace lmdeploy::ops::cpu
