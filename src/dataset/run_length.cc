#include "dataset/run_length.h"

#include "base/error.h"

namespace lmdeploy {
namespace {

constexpr unsigned kMaxHeaderBytes = 5;  // 32 bits

[[noreturn]] void refuse() {
  throw Error("a page of it is damaged: its run lengths end too early", "Fetch it again.");
}

}  // namespace

RunLengthReader::RunLengthReader(std::string_view bytes, int bit_width)
    : in_(bytes), bit_width_(static_cast<unsigned>(bit_width)) {
  if (bit_width < 0 || bit_width > 32)
    throw Error(fmt::format("a page of it is damaged: numbers of {} bits", bit_width), "Fetch it again.");
}

std::uint8_t RunLengthReader::byte() {
  const auto next = in_.byte();
  if (!next) refuse();
  return *next;
}

void RunLengthReader::start_run() {
  const auto header = in_.varint(kMaxHeaderBytes);
  if (!header) refuse();
  packed_ = (*header & 1U) != 0;
  num_left_ = packed_ ? (*header >> 1U) * 8 : *header >> 1U;
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
