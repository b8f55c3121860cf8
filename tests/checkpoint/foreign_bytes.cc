#include "checkpoint/foreign_bytes.h"

#include <fstream>
#include <iterator>
#include <stdexcept>

namespace lmdeploy::testing {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kAlignment = 32;

enum ValueType : std::uint32_t { kU32 = 4, kF32 = 6, kString = 8 };

}  // namespace

std::string read_bytes(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error("cannot read " + path.string());
  return {std::istreambuf_iterator<char>(in), {}};
}

std::string safetensors_file(std::uint64_t claimed_length, std::string_view header, std::string_view data) {
  std::string bytes;
  append(bytes, claimed_length);
  return bytes.append(header).append(data);
}

std::string safetensors_file(std::string_view header, std::string_view data) {
  return safetensors_file(header.size(), header, data);
}

std::string gguf_string(std::string_view text) {
  std::string bytes;
  append(bytes, static_cast<std::uint64_t>(text.size()));
  return bytes.append(text);
}

GgufBuilder& GgufBuilder::add_raw(const std::string& key, std::uint32_t value_type, std::string_view value) {
  values_ += gguf_string(key);
  append(values_, value_type);
  values_ += value;
  ++num_values_;
  return *this;
}

GgufBuilder& GgufBuilder::add(const std::string& key, std::uint32_t value) {
  std::string bytes;
  append(bytes, value);
  return add_raw(key, kU32, bytes);
}

GgufBuilder& GgufBuilder::add(const std::string& key, float value) {
  std::string bytes;
  append(bytes, value);
  return add_raw(key, kF32, bytes);
}

GgufBuilder& GgufBuilder::add(const std::string& key, const std::string& value) {
  return add_raw(key, kString, gguf_string(value));
}

GgufBuilder& GgufBuilder::add_tensor(const std::string& name, const std::vector<std::uint64_t>& dims,
                                     std::uint32_t type, std::uint64_t offset) {
  tensors_ += gguf_string(name);
  append(tensors_, static_cast<std::uint32_t>(dims.size()));
  for (const std::uint64_t dim : dims) append(tensors_, dim);
  append(tensors_, type);
  append(tensors_, offset);
  ++num_tensors_;
  return *this;
}

std::string GgufBuilder::build(std::string_view data) const {
  std::string bytes;
  append(bytes, magic);
  append(bytes, version);
  append(bytes, num_tensors_ + extra_tensors);
  append(bytes, num_values_ + extra_values);
  bytes += values_ + tensors_;
  if (!data.empty()) bytes.resize((bytes.size() + kAlignment - 1) / kAlignment * kAlignment);
  return bytes.append(data);
}

}  // namespace lmdeploy::testing
