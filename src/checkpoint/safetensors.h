#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/dtype.h"

namespace lmdeploy {

// One tensor as a safetensors header describes it. The format knows more types and ranks than we compute
// with, and their presence alone does no harm: what we cannot hold is refused when it is asked for.
struct SafetensorsEntry {
  std::string name;
  std::string dtype;                // as the file spells it: "BF16", "I64", "F8_E4M3", ...
  std::vector<std::int64_t> shape;  // not negative, product and bytes fit in 63 bits
  std::uint64_t offset = 0;         // bytes from the start of the file
  std::uint64_t bytes = 0;
};

// Reads the header of a whole safetensors file and checks it: its length, every shape against its byte count,
// and that the tensors fill the rest of the file without overlaps, holes or a tail. Ordered by offset.
// Throws Error naming `origin`.
std::vector<SafetensorsEntry> parse_safetensors(std::span<const std::byte> file, const std::string& origin);

std::optional<DType> find_dtype_of_safetensors(std::string_view spelling);  // of those that we compute with
std::string_view safetensors_spelling(DType dtype);                         // "F32", "BF16", ...

}  // namespace lmdeploy
