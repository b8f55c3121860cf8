#include "model/model_session.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "ops/ops.h"

namespace lmdeploy::testing {

std::filesystem::path golden_folder(const std::string& name) {
  return std::filesystem::path(LMDEPLOY_SOURCE_DIR) / "tests/golden/models" / name;
}

std::vector<std::string> golden_names() {
  return golden_names(golden_folder(""));
}

std::vector<std::string> golden_names(const std::filesystem::path& parent) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(parent))
    if (std::filesystem::exists(entry.path() / "golden.json")) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

Ids random_ids(std::int32_t count, std::int32_t vocab_size, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_int_distribution<std::int32_t> id(3, vocab_size - 1);
  Ids ids(static_cast<std::size_t>(count));
  for (std::int32_t& value : ids) value = id(random);
  return ids;
}

Cpu::Cpu(int num_threads) : pool(num_threads), workspace(host_allocator()) {
  ctx.pool = &pool;
  ctx.allocator = &host_allocator();
  ctx.workspace = &workspace;
}

ModelSession::ModelSession(Ctx& ctx, const Model& model, int num_seqs, std::int32_t max_len)
    : ctx_(ctx),
      model_(model),
      max_blocks_((max_len + model.info().kv_layout.block_len - 1) / model.info().kv_layout.block_len),
      pool_(make_kv_pool(ctx, model.info(), std::int64_t{num_seqs} * max_blocks_)),
      context_lens_(static_cast<std::size_t>(num_seqs), 0) {
  Ids blocks(static_cast<std::size_t>(num_seqs * max_blocks_));
  std::iota(blocks.begin(), blocks.end(), 0);
  std::shuffle(blocks.begin(), blocks.end(), std::mt19937(7));
  for (auto first = blocks.begin(); first != blocks.end(); first += max_blocks_)
    block_tables_.emplace_back(first, first + max_blocks_);
}

std::vector<std::vector<Logits>> ModelSession::step(const std::vector<Feed>& feeds) {
  Ids token_ids, positions, query_starts{0}, context_lens, block_tables, logits_rows;
  for (const Feed& feed : feeds) {
    auto& context_len = context_lens_.at(static_cast<std::size_t>(feed.seq_idx));
    for (const std::int32_t& id : feed.ids) {
      if (feed.want_all_logits || &id == &feed.ids.back())
        logits_rows.push_back(static_cast<std::int32_t>(token_ids.size()));
      token_ids.push_back(id);
      positions.push_back(context_len++);
    }
    query_starts.push_back(static_cast<std::int32_t>(token_ids.size()));
    context_lens.push_back(context_len);
    const Ids& table = block_tables_.at(static_cast<std::size_t>(feed.seq_idx));
    block_tables.insert(block_tables.end(), table.begin(), table.end());
  }
  const Batch batch{token_ids, positions, query_starts, context_lens, block_tables, max_blocks_, logits_rows};
  const std::int32_t vocab_size = model_.info().vocab_size;
  const Shape shape{std::ssize(logits_rows), vocab_size};
  const Tensor computed(*ctx_.allocator, DType::f32, shape), logits(host_allocator(), DType::f32, shape);
  model_.forward(ctx_, batch, pool_, computed);
  ops::copy_to_host(ctx_, computed, logits);

  std::vector<std::vector<Logits>> result;
  const float* row = logits.view().as<float>();
  for (const Feed& feed : feeds) {
    auto& rows = result.emplace_back();
    const std::size_t num_rows = feed.want_all_logits ? feed.ids.size() : 1;
    for (std::size_t i = 0; i < num_rows; i++, row += vocab_size) rows.emplace_back(row, row + vocab_size);
  }
  return result;
}

std::vector<Logits> ModelSession::prefill(int seq_idx, const Ids& ids, std::int32_t chunk) {
  std::vector<Logits> result;
  for (std::size_t begin = 0; begin < ids.size(); begin += static_cast<std::size_t>(chunk)) {
    const std::size_t end = std::min(ids.size(), begin + static_cast<std::size_t>(chunk));
    auto rows = step({{seq_idx, Ids(ids.begin() + static_cast<std::ptrdiff_t>(begin),
                                    ids.begin() + static_cast<std::ptrdiff_t>(end))}});
    for (Logits& row : rows.front()) result.push_back(std::move(row));
  }
  return result;
}

std::int32_t argmax(const Logits& logits) {
  return static_cast<std::int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

double relative_error(const Logits& actual, const Logits& expected) {
  double error = 0, largest = 0;
  for (std::size_t i = 0; i < expected.size(); i++) {
    const double difference = std::abs(double{actual.at(i)} - double{expected[i]});
    if (!(difference <= error)) error = difference;  // a NaN stays visible
    largest = std::max(largest, std::abs(double{expected[i]}));
  }
  return error / largest;
}

}  // namespace lmdeploy::testing
