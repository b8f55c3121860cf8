#include "ops/shape_matcher.h"

#include <algorithm>
#include <cstring>

namespace lmdeploy::ops {
namespace {

std::size_t letter_idx(char letter) {
  return static_cast<std::size_t>(letter - 'a');
}

}  // namespace

void ShapeMatcher::operator()(const char* name, const View& view, const char* letters,
                              std::initializer_list<DType> dtypes) {
  const int rank = static_cast<int>(std::strlen(letters));
  CHECK(view.shape.rank() == rank, "{}: {} is {}, expected [{}]", op_, name, view.shape.to_string(), letters);
  CHECK(std::find(dtypes.begin(), dtypes.end(), view.dtype) != dtypes.end(), "{}: {} must not be {}", op_,
        name, dtype_name(view.dtype));
  for (int i = 0; i < rank; i++) bind(name, letters[i], view.dim(i));
}

void ShapeMatcher::bind(const char* name, char letter, std::int64_t size) {
  std::int64_t& bound = sizes_[letter_idx(letter)];
  if (bound < 0) bound = size;
  CHECK(bound == size, "{}: {} has {} = {}, the others have {}", op_, name, letter, size, bound);
}

std::int64_t ShapeMatcher::operator[](char letter) const {
  const std::int64_t size = sizes_[letter_idx(letter)];
  CHECK(size >= 0, "{}: {} is unknown", op_, letter);
  return size;
}

}  // namespace lmdeploy::ops
