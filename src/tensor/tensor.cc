#include "tensor/tensor.h"

#include <algorithm>

namespace lmdeploy {

Shape::Shape(std::initializer_list<std::int64_t> dims) : rank_(static_cast<int>(dims.size())) {
  CHECK(rank_ <= kMaxRank, "rank {}", rank_);
  std::copy(dims.begin(), dims.end(), dims_.begin());
  std::int64_t count = 1;
  for (const std::int64_t dim : dims) {
    CHECK(dim >= 0, "negative dimension {}", dim);
    CHECK(!__builtin_mul_overflow(count, dim, &count), "{} overflows", to_string());
  }
}

std::int64_t Shape::num_elements() const noexcept {
  std::int64_t count = 1;
  for (int i = 0; i < rank_; i++) count *= dims_[static_cast<std::size_t>(i)];
  return count;
}

std::string Shape::to_string() const {
  return fmt::format("[{}]", fmt::join(dims_.begin(), dims_.begin() + rank_, ", "));
}

View::View(void* data_in, DType dtype_in, Shape shape_in) : data(data_in), dtype(dtype_in), shape(shape_in) {
  row_stride = shape.rank() == 0 || shape[0] == 0 ? 0 : shape.num_elements() / shape[0];
}

View::View(void* data_in, DType dtype_in, Shape shape_in, std::int64_t row_stride_in)
    : data(data_in), dtype(dtype_in), shape(shape_in), row_stride(row_stride_in) {}

bool View::contiguous() const noexcept {
  return shape.rank() == 0 || shape[0] <= 1 || row_stride * shape[0] == shape.num_elements();
}

std::int64_t View::bytes() const {
  return shape.num_elements() * static_cast<std::int64_t>(dtype_bytes(dtype));
}

View View::rows(std::int64_t begin, std::int64_t count) const {
  CHECK(shape.rank() >= 1 && begin >= 0 && count >= 0 && begin + count <= shape[0], "rows [{}, +{}) of {}",
        begin, count, shape.to_string());
  View result = *this;
  result.data = static_cast<char*>(data) + begin * row_stride * static_cast<std::int64_t>(dtype_bytes(dtype));
  switch (shape.rank()) {
    case 1:
      result.shape = {count};
      break;
    case 2:
      result.shape = {count, shape[1]};
      break;
    case 3:
      result.shape = {count, shape[1], shape[2]};
      break;
    default:
      result.shape = {count, shape[1], shape[2], shape[3]};
  }
  return result;
}

View View::columns(std::int64_t begin, std::int64_t count) const {
  CHECK(shape.rank() == 2 && begin >= 0 && count >= 0 && begin + count <= shape[1], "columns [{}, +{}) of {}",
        begin, count, shape.to_string());
  return {static_cast<char*>(data) + begin * static_cast<std::int64_t>(dtype_bytes(dtype)),
          dtype,
          {shape[0], count},
          row_stride};
}

Tensor::Tensor(Allocator& allocator, DType dtype, Shape shape) : view_(nullptr, dtype, shape) {
  allocation_ = allocator.allocate(static_cast<std::size_t>(view_.bytes()));
  view_.data = allocation_.data();
}

}  // namespace lmdeploy
