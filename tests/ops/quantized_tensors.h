#pragma once
#include <fmt/format.h>

#include <cmath>
#include <string>

#include "ops/float_tensors.h"
#include "ops/ops.h"
#include "ops/ref/quantized.h"

namespace lmdeploy::ops {

inline constexpr Activations kActivations[] = {Activations::as_they_are, Activations::int8_per_group,
                                               Activations::int8_per_row};

// What weights may consist of.
struct Numbers {
  std::int32_t bits;
  WeightCode code = WeightCode::integer;

  QuantFormat format(std::int64_t group_size, DType scales) const { return {bits, group_size, scales, code}; }
  // The largest one, as bits; of floats with either sign.
  std::uint8_t top(bool negative = false) const {
    if (code == WeightCode::e4m3) return negative ? 0xfe : 0x7e;
    return static_cast<std::uint8_t>(negative ? 0 : (1 << bits) - 1);
  }
};
inline constexpr Numbers kNumbers[] = {{4}, {8}, {8, WeightCode::e4m3}};

// Quantised weights in host memory and packed ones, for the fixture of any device.
template <class Fixture>
class QuantizedTensors : public Fixture {
 protected:
  struct Weights {
    Tensor q, scales, zeros;
    WeightCode code;

    QuantizedRows rows() const { return {q, scales, zeros}; }
    QuantizedRows rows(std::int64_t begin, std::int64_t count) const {
      return {q.view().rows(begin, count), scales.view().rows(begin, count), zeros.view().rows(begin, count)};
    }
    ref::Matrix values() const {
      if (code == WeightCode::integer)
        return ref::dequantize(integers(q), Fixture::matrix(scales), integers(zeros));
      return ref::dequantize(ref::decode_e4m3(integers(q)), Fixture::matrix(scales),
                             ref::Matrix(zeros.view().dim(0), zeros.view().dim(1)));
    }
  };

  // Random numbers with everything that formats carry: zeros at both ends, groups whose scale is 0. Floats
  // have zeros too, which nobody may look at.
  Weights random_weights(const QuantFormat& format, std::int64_t n, std::int64_t k) {
    const std::int64_t num_groups = k / format.group_size;
    const Tensor rounded = this->random(format.scale_dtype, n, num_groups, 0.01);
    Weights w{Tensor(host_allocator(), DType::u8, {n, k}), Fixture::zeros(DType::f32, n, num_groups),
              Tensor(host_allocator(), DType::u8, {n, num_groups}), format.code};
    for (std::int64_t i = 0; i < n * num_groups; i++)
      this->set(w.scales, i, i % 13 == 5 ? 0 : std::abs(this->get(rounded, i)));
    fill(w.q, 1U << format.bits);
    fill(w.zeros, 1U << format.bits);
    if (format.code == WeightCode::e4m3) replace_nan(w.q);
    return w;
  }

  PackedMatrix pack(const MatrixFormat& format, const Weights& w) {
    PackedMatrix packed = make_packed_matrix(this->ctx, format, w.q.view().dim(0), w.q.view().dim(1));
    pack_quantized_rows(this->ctx, w.rows(), packed, 0);
    return packed;
  }

  // What the op makes of x before it multiplies.
  static ref::Matrix met_by_weights(const View& x, const MatrixFormat& format) {
    if (format.activations == Activations::as_they_are) return Fixture::matrix(x);
    return ref::rounded_to_int8(Fixture::matrix(x), format.activations == Activations::int8_per_row
                                                        ? x.dim(1)
                                                        : format.quant->group_size);
  }

  static ref::Matrix integers(const View& view) {
    ref::Matrix result(view.dim(0), view.dim(1));
    for (std::int64_t r = 0; r < view.dim(0); r++)
      for (std::int64_t c = 0; c < view.dim(1); c++) result.at(r, c) = view.row<std::uint8_t>(r)[c];
    return result;
  }

  static std::string name(const MatrixFormat& format, std::int64_t m, std::int64_t n, std::int64_t k) {
    return fmt::format("{} with {} bits{}, group {}, scales {}, activations {}: [{}, {}] x [{}, {}]",
                       dtype_name(format.dtype), format.quant->bits,
                       format.quant->code == WeightCode::e4m3 ? " (E4M3)" : "", format.quant->group_size,
                       dtype_name(format.quant->scale_dtype), static_cast<int>(format.activations), m, k, n,
                       k);
  }

 private:
  static void replace_nan(const View& codes) {
    auto* bytes = static_cast<std::uint8_t*>(codes.data);
    for (std::int64_t i = 0; i < codes.shape.num_elements(); i++)
      if ((bytes[i] & 0x7f) == 0x7f) bytes[i] ^= 1;
  }
  void fill(const View& view, unsigned count) {
    for (std::int64_t i = 0; i < view.shape.num_elements(); i++)
      static_cast<std::uint8_t*>(view.data)[i] = static_cast<std::uint8_t>(this->rng() % count);
  }
};

}  // namespace lmdeploy::ops
