#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

namespace lmdeploy {

// A value of --cache-max-entry-count: a fraction of the memory that is free once the weights are loaded, or
// bytes.
using CacheSize = std::variant<double, std::int64_t>;

// "0.8" (over 0, up to 1) or "8GiB", "500MB", "1048576B": GiB, MiB, KiB are powers of 1024, GB, MB, KB (and
// G, M, K) of 1000. Throws Error on anything else.
CacheSize parse_cache_size(std::string_view text);

struct CacheNeeds {
  std::int64_t block_bytes = 0;  // of all layers: KvPool::block_bytes
  std::int32_t block_len = 0;
  std::int32_t quant_bits = 0;  // of a cache of codes; for the log
  std::int32_t session_len = 0;
  std::int32_t max_batch_size = 0;

  // One sequence of session_len tokens, or of a shorter length below which a cache is of no use.
  std::int32_t min_sequence_len() const;
  std::int64_t min_blocks() const;
};

struct CachePlan {
  std::int64_t bytes = 0;  // EngineOptions::cache_bytes, a multiple of block_bytes
  std::int64_t num_blocks = 0;
  std::int64_t num_tokens = 0;
  double num_sessions = 0;  // sequences of session_len tokens that fit
  std::int32_t quant_bits = 0;
  bool capped = false;  // more than max_batch_size sessions would never be used

  std::string to_string() const;  // one line for the log
};

// Memory that a cache may come from.
struct CacheRoom {
  std::int64_t free_bytes = 0;    // what the weights leave: of this the fraction is taken
  std::int64_t usable_bytes = 0;  // what everything else leaves of that: a fraction takes no more
};

// What the size comes to: at most max_batch_size sequences of session_len. Whether that is enough, and
// whether a size in bytes is there at all, is check_fits()'s business (engine/memory_plan.h).
CachePlan plan_cache(const CacheSize& size, const CacheNeeds& needs, const CacheRoom& room);

}  // namespace lmdeploy
