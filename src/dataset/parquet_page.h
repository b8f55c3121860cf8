#pragma once
// Pages of a column of a Parquet file: headers, and what they hold unpacked. Private to dataset/.
#include <cstdint>
#include <string>
#include <string_view>

#include "dataset/decompress.h"

namespace lmdeploy {

[[noreturn]] void refuse_page(const std::string& reason);  // throws Error

struct ParquetPage {
  enum class Kind : std::uint8_t { data, dictionary, other };

  Kind kind = Kind::other;
  bool by_dictionary = false;  // data: the values are places in the dictionary
  std::int64_t num_values = 0;
  std::string levels;  // data of a nullable column: run lengths of 0 (null) and 1
  std::string values;
};

// The pages of one chunk, one after another.
class ParquetPageReader {
 public:
  ParquetPageReader(std::string_view chunk, Codec codec, bool nullable)
      : rest_(chunk), codec_(codec), nullable_(nullable) {}

  bool at_end() const noexcept { return rest_.empty(); }
  // Throws Error: damaged, larger than 64 MiB, in an encoding that is not built.
  ParquetPage next();

 private:
  std::string_view rest_;
  Codec codec_;
  bool nullable_;
};

}  // namespace lmdeploy
