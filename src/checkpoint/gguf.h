#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/mapped_file.h"
#include "checkpoint/gguf_type.h"
#include "checkpoint/gguf_value.h"

namespace lmdeploy {

// One tensor of a GGUF file.
struct GgufTensor {
  std::string name;
  GgufType type;
  std::vector<std::int64_t> shape;  // 1 to 4 dimensions in row-major order: the file's own, reversed
  std::uint64_t offset = 0;         // bytes from the start of the file
  std::uint64_t bytes = 0;

  std::int64_t row_len() const { return shape.back(); }
  std::int64_t num_rows() const;    // of row_len elements each
  std::uint64_t row_bytes() const;  // rows are whole blocks
};

// What stands before the tensors' data.
struct GgufHeader {
  GgufMetadata metadata;
  std::vector<GgufTensor> tensors;  // in the order of the file
};

// Parses and checks the header of a whole GGUF file (version 2 or 3, little-endian): every length against
// the bytes that are there, names that stand twice, tensor types, shapes, alignment, and that each tensor
// lies in the file and overlaps no other. Throws Error naming `origin`.
GgufHeader parse_gguf(std::span<const std::byte> file, const std::string& origin);

// A mapped GGUF file.
class GgufFile {
 public:
  explicit GgufFile(const std::filesystem::path& path);  // throws Error as parse_gguf and MappedFile do

  const GgufMetadata& metadata() const noexcept { return header_.metadata; }
  const std::vector<GgufTensor>& tensors() const noexcept { return header_.tensors; }
  const GgufTensor* find(const std::string& name) const;  // nullptr: no such tensor
  // Bytes of the rows [begin, begin + count).
  std::span<const std::byte> rows(const GgufTensor& tensor, std::int64_t begin, std::int64_t count) const;
  void release(const GgufTensor& tensor) const;  // gives its resident pages back
  void check_unchanged() const { file_.check_unchanged(); }
  const std::filesystem::path& path() const noexcept { return file_.path(); }

 private:
  MappedFile file_;
  GgufHeader header_;
  std::map<std::string, std::size_t> idx_by_name_;
};

// Whether the file begins as a GGUF file does; false also where it cannot be read.
bool is_gguf_file(const std::filesystem::path& path);

}  // namespace lmdeploy
