#include "engine/cache_plan.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

#include "base/error.h"
#include "base/format_bytes.h"

namespace lmdeploy {
namespace {

// Shorter than this a cache is of no use: a chat template alone takes a good part of it.
constexpr std::int32_t kMinSequenceLen = 512;

constexpr std::array<std::pair<std::string_view, double>, 11> kUnits = {{{"B", 1},
                                                                         {"K", 1e3},
                                                                         {"KB", 1e3},
                                                                         {"M", 1e6},
                                                                         {"MB", 1e6},
                                                                         {"G", 1e9},
                                                                         {"GB", 1e9},
                                                                         {"KiB", 0x1p10},
                                                                         {"MiB", 0x1p20},
                                                                         {"GiB", 0x1p30},
                                                                         {"TiB", 0x1p40}}};

[[noreturn]] void refuse(std::string_view text) {
  throw Error(fmt::format("'{}' is no cache size", text),
              "give a fraction of the free memory, over 0 and up to 1, such as 0.8, or a size such as 8GiB");
}

std::int64_t wanted_bytes(const CacheSize& size, const CacheRoom& room) {
  if (const auto* bytes = std::get_if<std::int64_t>(&size)) return *bytes;
  const auto share = static_cast<std::int64_t>(std::get<double>(size) * static_cast<double>(room.free_bytes));
  return std::max<std::int64_t>(0, std::min(share, room.usable_bytes));
}

std::int64_t blocks_for(std::int32_t len, std::int32_t block_len) {
  return (std::int64_t{len} + block_len - 1) / block_len;
}

}  // namespace

CacheSize parse_cache_size(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || !std::isfinite(value) || value <= 0) refuse(text);
  std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  while (!unit.empty() && unit.front() == ' ') unit.remove_prefix(1);
  if (unit.empty()) {
    if (value > 1) refuse(text);
    return value;
  }
  const auto* known =
      std::find_if(kUnits.begin(), kUnits.end(), [&](const auto& u) { return u.first == unit; });
  if (known == kUnits.end()) refuse(text);
  const double bytes = value * known->second;
  if (bytes < 1 || bytes >= 0x1p62) refuse(text);
  return static_cast<std::int64_t>(bytes);
}

std::int32_t CacheNeeds::min_sequence_len() const {
  return std::min(session_len, kMinSequenceLen);
}

std::int64_t CacheNeeds::min_blocks() const {
  return blocks_for(min_sequence_len(), block_len);
}

CachePlan plan_cache(const CacheSize& size, const CacheNeeds& needs, const CacheRoom& room) {
  CHECK(needs.block_bytes > 0 && needs.block_len > 0 && needs.session_len > 0 && needs.max_batch_size > 0,
        "block of {} bytes and {} tokens, session_len {}, max_batch_size {}", needs.block_bytes,
        needs.block_len, needs.session_len, needs.max_batch_size);
  const std::int64_t max_blocks =
      std::min<std::int64_t>(blocks_for(needs.session_len, needs.block_len) * needs.max_batch_size,
                             std::numeric_limits<std::int32_t>::max());
  const std::int64_t wanted = wanted_bytes(size, room);

  CachePlan plan;
  plan.quant_bits = needs.quant_bits;
  plan.num_blocks = std::min(wanted / needs.block_bytes, max_blocks);
  plan.capped = wanted / needs.block_bytes > max_blocks;
  plan.bytes = plan.num_blocks * needs.block_bytes;
  plan.num_tokens = plan.num_blocks * needs.block_len;
  plan.num_sessions = static_cast<double>(plan.num_tokens) / needs.session_len;
  return plan;
}

std::string CachePlan::to_string() const {
  return fmt::format(
      "KV cache{}: {} bytes ({}), {} blocks, {} tokens: room for {:.1f} sequences of the session "
      "length at once{}",
      quant_bits == 0 ? "" : fmt::format(" of int{}", quant_bits), bytes, format_bytes(bytes), num_blocks,
      num_tokens, num_sessions, capped ? " (capped at --max-batch-size x --session-len)" : "");
}

}  // namespace lmdeploy
