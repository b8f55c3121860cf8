#pragma once
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "checkpoint/foreign_bytes.h"

namespace lmdeploy::testing {

// The smallest whole model of the architecture llama as a GGUF file: one layer of width 8, two heads of 4,
// four tokens. A test changes one thing and builds.
struct TinyGguf {
  struct Tensor {
    std::vector<std::uint64_t> dims;  // row length first
    float value;                      // of all its elements
  };

  TinyGguf();
  std::string build() const;

  std::map<std::string, std::uint32_t> integers;
  std::map<std::string, float> floats;
  std::map<std::string, std::string> strings;
  std::map<std::string, std::vector<std::string>> lists;
  std::map<std::string, Tensor> tensors;  // f32
};

}  // namespace lmdeploy::testing
