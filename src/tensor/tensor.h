#pragma once
#include <array>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <utility>

#include "base/error.h"
#include "tensor/allocator.h"
#include "tensor/dtype.h"

namespace lmdeploy {

// Up to four dimensions, row-major; the number of elements fits 63 bits.
class Shape {
 public:
  static constexpr int kMaxRank = 4;

  Shape() = default;
  Shape(std::initializer_list<std::int64_t> dims);

  int rank() const noexcept { return rank_; }
  std::int64_t operator[](int dim) const { return dims_[static_cast<std::size_t>(dim)]; }
  std::int64_t num_elements() const noexcept;
  bool operator==(const Shape& other) const noexcept = default;
  std::string to_string() const;  // "[2, 576]"

 private:
  std::array<std::int64_t, kMaxRank> dims_{};
  int rank_ = 0;
};

// Borrowed memory with a shape. Rows (everything after the first dimension) are contiguous; consecutive
// entries of the first dimension lie row_stride elements apart. Copying a View copies no data.
struct View {
  void* data = nullptr;
  DType dtype = DType::f32;
  Shape shape;
  std::int64_t row_stride = 0;  // elements

  View() = default;
  View(void* data_in, DType dtype_in, Shape shape_in);                           // contiguous
  View(void* data_in, DType dtype_in, Shape shape_in, std::int64_t row_stride);  // strided rows

  std::int64_t dim(int i) const { return shape[i]; }
  bool empty() const noexcept { return data == nullptr; }
  bool contiguous() const noexcept;
  std::int64_t bytes() const;  // of the elements, without gaps between rows

  template <class T>
  T* as() const {
    CHECK(dtype == kDTypeOf<T>, "view holds {}, asked for {}", dtype_name(dtype), dtype_name(kDTypeOf<T>));
    return static_cast<T*>(data);
  }
  template <class T>
  T* row(std::int64_t i) const {
    return as<T>() + i * row_stride;
  }
  View rows(std::int64_t begin, std::int64_t count) const;  // [begin, begin + count) of the first dimension
  View columns(std::int64_t begin, std::int64_t count) const;  // rank 2: a strided slice of every row
};

// Owned memory with a shape. Move-only; copying is an explicit op.
class Tensor {
 public:
  Tensor() = default;
  Tensor(Allocator& allocator, DType dtype, Shape shape);  // uninitialised, 64-byte aligned
  Tensor(Tensor&& other) noexcept
      : allocation_(std::move(other.allocation_)), view_(std::exchange(other.view_, {})) {}
  Tensor& operator=(Tensor&& other) noexcept {
    allocation_ = std::move(other.allocation_);
    view_ = std::exchange(other.view_, {});
    return *this;
  }

  const View& view() const noexcept { return view_; }
  operator View() const noexcept { return view_; }  // NOLINT: an owner is usable wherever a view is
  DType dtype() const noexcept { return view_.dtype; }
  const Shape& shape() const noexcept { return view_.shape; }
  bool empty() const noexcept { return view_.empty(); }

 private:
  Allocation allocation_;
  View view_;
};

}  // namespace lmdeploy
