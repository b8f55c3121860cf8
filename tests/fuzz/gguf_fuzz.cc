#include <cstdlib>
#include <vector>

#include "base/error.h"
#include "checkpoint/gguf.h"

// Parses the header and dequantises the first row of each tensor.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span file(reinterpret_cast<const std::byte*>(data), size);
  try {
    const lmdeploy::GgufHeader header = lmdeploy::parse_gguf(file, "input");
    for (const lmdeploy::GgufTensor& tensor : header.tensors) {
      if (tensor.offset > size || tensor.bytes > size - tensor.offset) std::abort();
      std::vector<float> row(static_cast<std::size_t>(tensor.row_len()));
      lmdeploy::dequantize_gguf(tensor.type, file.subspan(tensor.offset, tensor.row_bytes()), row);
    }
  } catch (const lmdeploy::Error&) {
  }
  return 0;
}
