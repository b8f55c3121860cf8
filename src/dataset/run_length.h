#pragma once
// Parquet's hybrid of run lengths and packed bits
// (https://parquet.apache.org/docs/file-format/data-pages/encodings/). Private to dataset/.
#include <cstdint>
#include <string_view>

#include "dataset/byte_cursor.h"

namespace lmdeploy {

// Numbers of `bit_width` bits, 0 to 32.
class RunLengthReader {
 public:
  RunLengthReader(std::string_view bytes, int bit_width);
  std::uint32_t next();  // throws Error at the end of the bytes

 private:
  void start_run();
  std::uint8_t byte();

  ByteCursor in_;
  unsigned bit_width_;
  std::uint64_t num_left_ = 0;  // in this run
  bool packed_ = false;
  std::uint32_t repeated_ = 0;  // the value of a run that is not packed
  std::uint64_t bits_ = 0;      // of a packed run: what was read ahead, lowest first
  unsigned num_bits_ = 0;
};

}  // namespace lmdeploy
