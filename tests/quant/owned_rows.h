#pragma once
#include <algorithm>
#include <cstring>
#include <random>

#include "quant/quantized_rows.h"

namespace lmdeploy::testing {

struct RowShape {
  std::int64_t n, k, group_size;
  std::int32_t bits = 4;
};

inline Tensor zeroed(DType dtype, Shape shape) {
  Tensor tensor(host_allocator(), dtype, shape);
  std::memset(tensor.view().data, 0, static_cast<std::size_t>(tensor.view().bytes()));
  return tensor;
}

// QuantizedRows with their memory, and a gap behind each row of q that nobody may touch.
class OwnedRows {
 public:
  static constexpr std::int64_t kGap = 5;
  static constexpr std::uint8_t kUntouched = 0xee;

  explicit OwnedRows(const RowShape& shape)
      : shape_(shape),
        q_(host_allocator(), DType::u8, Shape{shape.n, shape.k + kGap}),
        scales_(zeroed(DType::f32, Shape{shape.n, shape.k / shape.group_size})),
        zeros_(zeroed(DType::u8, Shape{shape.n, shape.k / shape.group_size})) {
    std::memset(q_.view().data, kUntouched, static_cast<std::size_t>(q_.view().bytes()));
  }

  // Any numbers of these bits; scales that every float type holds exactly.
  static OwnedRows random(const RowShape& shape, unsigned seed) {
    OwnedRows result(shape);
    std::mt19937 rng(seed);
    const auto number = [&] { return static_cast<std::uint8_t>(rng() % (1U << shape.bits)); };
    for (std::int64_t r = 0; r < shape.n; r++) {
      std::generate_n(result.view().q.row<std::uint8_t>(r), shape.k, number);
      std::generate_n(result.view().zeros.row<std::uint8_t>(r), shape.k / shape.group_size, number);
      std::generate_n(result.view().scales.row<float>(r), shape.k / shape.group_size,
                      [&] { return static_cast<float>(1 + rng() % 255) / 1024.0F; });
    }
    return result;
  }

  QuantizedRows view() const { return {q_.view().columns(0, shape_.k), scales_.view(), zeros_.view()}; }
  QuantizedRows rows(std::int64_t begin, std::int64_t count) const {
    return {view().q.rows(begin, count), scales_.view().rows(begin, count), zeros_.view().rows(begin, count)};
  }

  bool operator==(const OwnedRows& other) const {
    return same(q_, other.q_) && same(scales_, other.scales_) && same(zeros_, other.zeros_);
  }

 private:
  static bool same(const View& a, const View& b) {
    return a.shape == b.shape && std::memcmp(a.data, b.data, static_cast<std::size_t>(a.bytes())) == 0;
  }

  RowShape shape_;
  Tensor q_, scales_, zeros_;
};

// Bits [first_bit, first_bit + bits) of a word, as the definitions of the layouts count them.
inline std::uint8_t bits_of(std::int32_t word, std::int64_t first_bit, std::int32_t bits) {
  return static_cast<std::uint8_t>((static_cast<std::uint32_t>(word) >> first_bit) & ((1U << bits) - 1U));
}

}  // namespace lmdeploy::testing
