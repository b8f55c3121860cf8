#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "support/temp_folder.h"

// Files as they come from outside: whole, or damaged in one place.
namespace lmdeploy::testing {

std::string read_bytes(const std::filesystem::path& path);

// A safetensors file: the header's length, the header as given, the data.
std::string safetensors_file(std::string_view header, std::string_view data);

// The same with a length that is not the header's.
std::string safetensors_file(std::uint64_t claimed_length, std::string_view header, std::string_view data);

template <class T>
void append(std::string& bytes, T value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

// Puts a GGUF file together piece by piece.
class GgufBuilder {
 public:
  GgufBuilder& add(const std::string& key, std::uint32_t value);
  GgufBuilder& add(const std::string& key, float value);
  GgufBuilder& add(const std::string& key, const std::string& value);
  GgufBuilder& add_raw(const std::string& key, std::uint32_t value_type, std::string_view value);
  // dims in the file's order: the row's length first.
  GgufBuilder& add_tensor(const std::string& name, const std::vector<std::uint64_t>& dims, std::uint32_t type,
                          std::uint64_t offset);
  std::string build(std::string_view data) const;  // data begins at a multiple of 32

  std::uint32_t magic = 0x46554747;
  std::uint32_t version = 3;
  // Added to the true counts.
  std::uint64_t extra_tensors = 0;
  std::uint64_t extra_values = 0;

 private:
  std::uint64_t num_values_ = 0;
  std::uint64_t num_tensors_ = 0;
  std::string values_;
  std::string tensors_;
};

std::string gguf_string(std::string_view text);  // length, then bytes

// Runs the call and returns what its Error says, problem and remedy; "" where none is thrown.
template <class Call>
std::string error_of(Call call) {
  try {
    call();
  } catch (const Error& error) {
    return error.problem() + "\n" + error.remedy();
  }
  return {};
}

}  // namespace lmdeploy::testing
