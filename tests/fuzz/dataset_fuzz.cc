// A data set's file as a hub or a mirror may send it: Parquet pages and headers, packed JSON lines.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "dataset/text_column.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kMaxBytes = 1 << 20;
  const std::string_view file(reinterpret_cast<const char*>(data), size);
  for (const char* column : {"sentence", "text"}) {
    try {
      CHECK(lmdeploy::read_text_column(file, column, kMaxBytes).size() <= kMaxBytes);
    } catch (const lmdeploy::Error&) {
    }
  }
  return 0;
}
