#include "checkpoint/gguf.h"

#include <algorithm>
#include <fstream>

#include "base/error.h"

namespace lmdeploy {

std::int64_t GgufTensor::num_rows() const {
  std::int64_t rows = 1;
  for (std::size_t dim = 0; dim + 1 < shape.size(); ++dim) rows *= shape[dim];
  return rows;
}

std::uint64_t GgufTensor::row_bytes() const {
  const GgufTypeInfo& info = gguf_type_info(type);
  return static_cast<std::uint64_t>(row_len() / info.block_len * info.block_bytes);
}

GgufFile::GgufFile(const std::filesystem::path& path)
    : file_(path), header_(parse_gguf(file_.bytes(), path.string())) {
  for (std::size_t i = 0; i < header_.tensors.size(); ++i) idx_by_name_[header_.tensors[i].name] = i;
}

const GgufTensor* GgufFile::find(const std::string& name) const {
  const auto found = idx_by_name_.find(name);
  return found == idx_by_name_.end() ? nullptr : &header_.tensors[found->second];
}

std::span<const std::byte> GgufFile::rows(const GgufTensor& tensor, std::int64_t begin,
                                          std::int64_t count) const {
  CHECK(begin >= 0 && count >= 0 && begin + count <= tensor.num_rows(), "rows [{}, +{}) of {}", begin, count,
        tensor.name);
  const std::uint64_t row_bytes = tensor.row_bytes();
  return file_.bytes(tensor.offset + static_cast<std::uint64_t>(begin) * row_bytes,
                     static_cast<std::uint64_t>(count) * row_bytes);
}

void GgufFile::release(const GgufTensor& tensor) const {
  file_.release(tensor.offset, tensor.bytes);
}

bool is_gguf_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  char magic[4] = {};
  return in.read(magic, sizeof magic) && std::string_view(magic, sizeof magic) == "GGUF";
}

}  // namespace lmdeploy
