#pragma once
#include <array>
#include <cstdint>
#include <initializer_list>

#include "tensor/tensor.h"

namespace lmdeploy::ops {

// Checks an op's views against each other: every dimension has a letter, and a letter has one size.
//   ShapeMatcher match("linear");
//   match("x", x, "mk", {DType::bf16});
//   match("y", y, "mn", {DType::f32});
//   const std::int64_t m = match['m'];
// A mismatch is a bug of the caller: CHECK, naming the op, the view and the letter. A dtype outside the list
// is the named error for a combination that does not exist.
class ShapeMatcher {
 public:
  explicit ShapeMatcher(const char* op) : op_(op) { sizes_.fill(-1); }

  void operator()(const char* name, const View& view, const char* letters,
                  std::initializer_list<DType> dtypes);
  void bind(const char* name, char letter, std::int64_t size);
  std::int64_t operator[](char letter) const;

 private:
  const char* op_;
  std::array<std::int64_t, 26> sizes_;  // -1: not seen yet
};

}  // namespace lmdeploy::ops
