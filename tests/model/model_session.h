#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "model/model.h"
#include "model/registry.h"

namespace lmdeploy::testing {

using Ids = std::vector<std::int32_t>;
using Logits = std::vector<float>;  // [vocab_size]

std::filesystem::path golden_folder(const std::string& name);
// The folders that hold a golden.json, sorted: of `parent`, or of golden_folder's.
std::vector<std::string> golden_names(const std::filesystem::path& parent);
std::vector<std::string> golden_names();

// `count` ids in [3, vocab_size), the same for the same seed.
Ids random_ids(std::int32_t count, std::int32_t vocab_size, unsigned seed);

// A CPU to run on: threads, memory, scratch.
struct Cpu {
  explicit Cpu(int num_threads = 2);
  ThreadPool pool;
  Workspace workspace;
  Ctx ctx;
};

// What one sequence adds to a step.
struct Feed {
  int seq_idx = 0;
  Ids ids;
  bool want_all_logits = true;  // otherwise only the last token's
};

// A model with a cache, and sequences that grow step by step. Their blocks are handed out in a shuffled
// order, so that nothing works by luck of neighbouring blocks.
class ModelSession {
 public:
  ModelSession(Ctx& ctx, const Model& model, int num_seqs, std::int32_t max_len);

  // One forward pass. Returns, feed by feed, the logits asked for.
  std::vector<std::vector<Logits>> step(const std::vector<Feed>& feeds);

  // All tokens of one sequence, `chunk` at a time; the logits of every token.
  std::vector<Logits> prefill(int seq_idx, const Ids& ids, std::int32_t chunk);

 private:
  Ctx& ctx_;
  const Model& model_;
  std::int32_t max_blocks_;
  KvPool pool_;
  std::vector<Ids> block_tables_;  // [num_seqs][max_blocks]
  Ids context_lens_;               // [num_seqs]
};

std::int32_t argmax(const Logits& logits);

// Largest difference over the largest reference value.
double relative_error(const Logits& actual, const Logits& expected);

}  // namespace lmdeploy::testing
