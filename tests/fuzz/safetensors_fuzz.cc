#include <cstdlib>

#include "base/error.h"
#include "checkpoint/safetensors.h"

// Every tensor that passes must lie in the file.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const std::span file(reinterpret_cast<const std::byte*>(data), size);
    for (const lmdeploy::SafetensorsEntry& entry : lmdeploy::parse_safetensors(file, "input"))
      if (entry.offset > size || entry.bytes > size - entry.offset) std::abort();
  } catch (const lmdeploy::Error&) {
  }
  return 0;
}
