#include "model/batch_slice.h"

#include <algorithm>

#include "base/error.h"

namespace lmdeploy {
namespace {

std::span<const std::int32_t> block_table(std::span<const std::int32_t> tables, std::int64_t seq_idx,
                                          std::int32_t max_blocks) {
  return tables.subspan(static_cast<std::size_t>(seq_idx) * static_cast<std::size_t>(max_blocks),
                        static_cast<std::size_t>(max_blocks));
}

// Index of the sequence that holds the token.
std::int64_t find_sequence(std::span<const std::int32_t> query_starts, std::int64_t token_idx) {
  return std::upper_bound(query_starts.begin(), query_starts.end(), token_idx) - query_starts.begin() - 1;
}

// Appends the part of sequence seq_idx that lies in tokens [begin, end).
void add_sequence(const Batch& batch, std::size_t seq_idx, std::int64_t begin, std::int64_t end,
                  std::int32_t block_len, BatchSlice& slice) {
  const std::int64_t first = std::max<std::int64_t>(begin, batch.query_starts[seq_idx]);
  const std::int64_t last = std::min<std::int64_t>(end, batch.query_starts[seq_idx + 1]);
  const auto num_later = static_cast<std::int32_t>(batch.query_starts[seq_idx + 1] - last);
  const auto table = block_table(batch.block_tables, static_cast<std::int64_t>(seq_idx), batch.max_blocks);
  for (std::int64_t i = first; i < last; i++) {
    const std::int32_t position = batch.positions[static_cast<std::size_t>(i)];
    slice.slots.push_back(table[static_cast<std::size_t>(position / block_len)] * block_len +
                          position % block_len);
  }
  AttentionRows& rows = slice.rows;
  rows.query_starts.push_back(static_cast<std::int32_t>(last - begin));
  rows.context_lens.push_back(batch.context_lens[seq_idx] - num_later);
  rows.block_tables.insert(rows.block_tables.end(), table.begin(), table.end());
}

}  // namespace

ops::AttentionBatch AttentionRows::batch(float scale) const {
  ops::AttentionBatch result;
  result.query_starts = query_starts;
  result.context_lens = context_lens;
  result.block_tables = block_tables;
  result.max_blocks = max_blocks;
  result.scale = scale;
  return result;
}

BatchSlice slice_batch(const Batch& batch, std::int64_t begin, std::int64_t end, std::int32_t block_len) {
  BatchSlice slice;
  const auto offset = static_cast<std::size_t>(begin), count = static_cast<std::size_t>(end - begin);
  slice.token_ids = batch.token_ids.subspan(offset, count);
  slice.drawn = batch.drawn;
  slice.positions = batch.positions.subspan(offset, count);
  slice.slots.reserve(count);
  slice.rows.max_blocks = batch.max_blocks;
  slice.rows.query_starts.push_back(0);
  for (auto seq_idx = static_cast<std::size_t>(find_sequence(batch.query_starts, begin));
       batch.query_starts[seq_idx] < end; seq_idx++) {
    add_sequence(batch, seq_idx, begin, end, block_len, slice);
    if (batch.query_starts[seq_idx + 1] >= end) break;
  }
  const auto wanted = batch.logits_rows;
  auto row = std::lower_bound(wanted.begin(), wanted.end(), begin);
  slice.first_logit = row - wanted.begin();
  for (; row != wanted.end() && *row < end; ++row)
    slice.logits_rows.push_back(*row - static_cast<std::int32_t>(begin));
  return slice;
}

AttentionRows logits_queries(const BatchSlice& slice) {
  AttentionRows result;
  result.max_blocks = slice.rows.max_blocks;
  result.query_starts.push_back(0);
  for (const std::int32_t row : slice.logits_rows) {
    const auto table = block_table(slice.rows.block_tables, find_sequence(slice.rows.query_starts, row),
                                   slice.rows.max_blocks);
    result.query_starts.push_back(result.query_starts.back() + 1);
    result.context_lens.push_back(slice.positions[static_cast<std::size_t>(row)] + 1);
    result.block_tables.insert(result.block_tables.end(), table.begin(), table.end());
  }
  return result;
}

void check_batch(const Batch& batch) {
  const std::size_t num_tokens = batch.token_ids.size(), num_seqs = batch.context_lens.size();
  CHECK(num_tokens > 0 && num_seqs > 0, "{} tokens, {} sequences", num_tokens, num_seqs);
  CHECK(batch.positions.size() == num_tokens, "{} positions, {} tokens", batch.positions.size(), num_tokens);
  CHECK(batch.query_starts.size() == num_seqs + 1, "{} starts, {} sequences", batch.query_starts.size(),
        num_seqs);
  CHECK(batch.query_starts.front() == 0 &&
        batch.query_starts.back() == static_cast<std::int32_t>(num_tokens));
  CHECK(batch.max_blocks > 0 &&
            batch.block_tables.size() == num_seqs * static_cast<std::size_t>(batch.max_blocks),
        "block_tables has {} entries, {} sequences of {}", batch.block_tables.size(), num_seqs,
        batch.max_blocks);
  for (std::size_t s = 0; s < num_seqs; s++) {
    const std::int32_t begin = batch.query_starts[s], end = batch.query_starts[s + 1];
    CHECK(begin < end, "sequence {} has no tokens", s);
    for (std::int32_t i = begin; i < end; i++)
      CHECK(batch.positions[static_cast<std::size_t>(i)] == batch.context_lens[s] - (end - i),
            "token {} has position {}, its sequence has {} tokens", i,
            batch.positions[static_cast<std::size_t>(i)], batch.context_lens[s]);
  }
  CHECK(std::is_sorted(batch.logits_rows.begin(), batch.logits_rows.end()), "logits_rows must ascend");
  CHECK(batch.logits_rows.empty() ||
        (batch.logits_rows.front() >= 0 && batch.logits_rows.back() < static_cast<std::int32_t>(num_tokens)));
}

}  // namespace lmdeploy
