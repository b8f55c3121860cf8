#include "support/fake_model.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <thread>
#include <utility>

namespace lmdeploy::testing {
namespace {

// What a slot of the cache holds: K's element is the token, V's the position.
struct Slot {
  std::int32_t token_id;
  std::int32_t position;
};

std::uint64_t mix(std::uint64_t x) {  // the finalizer of splitmix64 (Steele, Lea, Flood 2014)
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

Slot* slot_at(const KvPool& pool, std::span<const std::int32_t> block_table, std::int32_t position) {
  const ops::KvLayer layer = pool.layer(0);
  const std::int32_t block_len = layer.layout.block_len;
  const std::int32_t block = block_table[static_cast<std::size_t>(position / block_len)];
  CHECK(block >= 0 && block < layer.num_blocks, "position {} lies in block {} of {}", position, block,
        layer.num_blocks);
  return reinterpret_cast<Slot*>(static_cast<char*>(layer.data) + block * layer.block_stride) +
         position % block_len;
}

// Of a real device nobody could read drawn tokens here; a failed draw counts as token 0 there.
std::int32_t token_at(const Batch& batch, std::size_t idx) {
  const std::int32_t id = batch.token_ids[idx];
  if (id >= 0) return id;
  CHECK(!batch.drawn.empty() && ~id < batch.drawn.dim(0), "token {} is draw {} of nothing", idx, ~id);
  return std::max(batch.drawn.as<std::int32_t>()[~id], 0);
}

}  // namespace

FakeModel::FakeModel(FakeModelOptions options) : options_(std::move(options)) {
  info_.num_layers = 1;
  info_.vocab_size = options_.vocab_size;
  info_.hidden_size = 8;
  info_.max_position_embeddings = options_.max_position_embeddings;
  info_.kv_layout = {DType::f16, 1, 2, options_.block_len};  // 8 bytes a token: a Slot
  CHECK(info_.kv_layout.block_bytes() == std::int64_t{options_.block_len} * std::int64_t{sizeof(Slot)});
}

void FakeModel::forward(Ctx&, const Batch& batch, KvPool& pool, const View& logits) const {
  CHECK(logits.dim(0) == static_cast<std::int64_t>(batch.logits_rows.size()));
  run(batch, pool, [&](std::span<const std::int32_t> prefix, std::int64_t row) {
    logits_after(prefix, {logits.row<float>(row), static_cast<std::size_t>(info_.vocab_size)});
  });
}

void FakeModel::forward_hidden(Ctx&, const Batch& batch, KvPool& pool, const View& hidden) const {
  CHECK(batch.logits_rows.empty() || hidden.dim(0) == static_cast<std::int64_t>(batch.logits_rows.size()));
  run(batch, pool, [&](std::span<const std::int32_t> prefix, std::int64_t row) {
    hidden_after(prefix, {hidden.row<float>(row), static_cast<std::size_t>(info_.hidden_size)});
  });
}

void FakeModel::run(const Batch& batch, KvPool& pool, const GiveRow& give_row) const {
  const auto deadline = std::chrono::steady_clock::now() + options_.step_time;
  if (options_.on_forward) options_.on_forward(batch);
  CHECK(batch.token_ids.size() == batch.positions.size() &&
        batch.block_tables.size() == batch.context_lens.size() * static_cast<std::size_t>(batch.max_blocks));
  std::size_t logits_row = 0;
  std::vector<std::int32_t> prefix;
  for (std::size_t seq = 0; seq < batch.context_lens.size(); seq++) {
    const auto table = batch.block_tables.subspan(seq * static_cast<std::size_t>(batch.max_blocks),
                                                  static_cast<std::size_t>(batch.max_blocks));
    const std::int32_t end = batch.query_starts[seq + 1];
    for (std::int32_t i = batch.query_starts[seq]; i < end; i++) {
      const auto token = static_cast<std::size_t>(i);
      *slot_at(pool, table, batch.positions[token]) = {token_at(batch, token), batch.positions[token]};
    }
    CHECK(batch.positions[static_cast<std::size_t>(end - 1)] + 1 == batch.context_lens[seq]);
    for (; logits_row < batch.logits_rows.size() && batch.logits_rows[logits_row] < end; logits_row++) {
      const std::int32_t last = batch.positions[static_cast<std::size_t>(batch.logits_rows[logits_row])];
      prefix.clear();
      for (std::int32_t position = 0; position <= last; position++) {
        const Slot slot = *slot_at(pool, table, position);
        CHECK(slot.position == position, "position {} holds the key of position {}", position, slot.position);
        prefix.push_back(slot.token_id);
      }
      give_row(prefix, static_cast<std::int64_t>(logits_row));
    }
  }
  CHECK(logits_row == batch.logits_rows.size());
  std::this_thread::sleep_until(deadline);
}

void FakeModel::logits_after(std::span<const std::int32_t> token_ids, std::span<float> logits) const {
  if (token_ids.back() == options_.nan_token) {
    std::fill(logits.begin(), logits.end(), std::numeric_limits<float>::quiet_NaN());
    return;
  }
  std::uint64_t hash = 0;
  for (const std::int32_t token_id : token_ids) hash = mix(hash ^ static_cast<std::uint64_t>(token_id));
  for (std::size_t i = 0; i < logits.size(); i++)
    logits[i] = static_cast<float>(mix(hash + i) >> 40) * 0x1p-22F;  // [0, 4)
  if (options_.says)
    if (const std::int32_t token = options_.says(token_ids); token >= 0)
      logits[static_cast<std::size_t>(token)] = 8;
  if (token_ids.back() == options_.loop_token) logits[static_cast<std::size_t>(options_.loop_token)] = 8;
}

void FakeModel::hidden_after(std::span<const std::int32_t> token_ids, std::span<float> hidden) const {
  if (token_ids.back() == options_.nan_token) {
    std::fill(hidden.begin(), hidden.end(), std::numeric_limits<float>::quiet_NaN());
    return;
  }
  std::uint64_t hash = 1;
  for (const std::int32_t token_id : token_ids) hash = mix(hash ^ static_cast<std::uint64_t>(token_id));
  for (std::size_t i = 0; i < hidden.size(); i++)
    hidden[i] = static_cast<float>(mix(hash + i) >> 40) * 0x1p-23F - 1;  // [-1, 1)
}

std::vector<double> FakeModel::logprobs_after(std::span<const std::int32_t> token_ids) const {
  std::vector<float> logits(static_cast<std::size_t>(options_.vocab_size));
  logits_after(token_ids, logits);
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit));
  std::vector<double> logprobs;
  for (const float logit : logits) logprobs.push_back(static_cast<double>(logit) - std::log(sum));
  return logprobs;
}

std::int32_t FakeModel::next_token(std::span<const std::int32_t> token_ids) const {
  std::vector<float> logits(static_cast<std::size_t>(info_.vocab_size));
  logits_after(token_ids, logits);
  return static_cast<std::int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

}  // namespace lmdeploy::testing
