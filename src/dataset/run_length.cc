#include "dataset/run_length.h"

#include "base/error.h"

namespace lmdeploy {
namespace {

[[noreturn]] void refuse() {
  throw Error("a page of it is damaged: its run lengths end too early", "Fetch it again.");
}

}  // namespace

RunLengthReader::RunLengthReader(std::string_view bytes, int bit_width)
    : rest_(bytes), bit_width_(static_cast<unsigned>(bit_width)) {
  if (bit_width < 0 || bit_width > 32)
    throw Error(fmt::format("a page of it is damaged: numbers of {} bits", bit_width), "Fetch it again.");
}

std::uint8_t RunLengthReader::byte() {
  if (rest_.empty()) refuse();
  const auto first = static_cast<std::uint8_t>(rest_.front());
  rest_.remove_prefix(1);
  return first;
}

std::uint64_t RunLengthReader::varint() {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 35; shift += 7) {
    const std::uint8_t bits = byte();
    value |= std::uint64_t{bits & 0x7fU} << shift;
    if ((bits & 0x80U) == 0) return value;
  }
  refuse();
}

void RunLengthReader::start_run() {
  const std::uint64_t header = varint();
  packed_ = (header & 1U) != 0;
  num_left_ = packed_ ? (header >> 1U) * 8 : header >> 1U;
  bits_ = 0;
  num_bits_ = 0;
  repeated_ = 0;
  for (unsigned shift = 0; !packed_ && shift < bit_width_; shift += 8)
    repeated_ |= std::uint32_t{byte()} << shift;
}

std::uint32_t RunLengthReader::next() {
  while (num_left_ == 0) start_run();
  --num_left_;
  if (!packed_) return repeated_;
  for (; num_bits_ < bit_width_; num_bits_ += 8) bits_ |= std::uint64_t{byte()} << num_bits_;
  const std::uint64_t value = bits_ & ((std::uint64_t{1} << bit_width_) - 1);
  bits_ >>= bit_width_;
  num_bits_ -= bit_width_;
  return static_cast<std::uint32_t>(value);
}

}  // namespace lmdeploy
