#include "engine/step_memory.h"

#include <algorithm>
#include <vector>

#include "base/thread_pool.h"
#include "engine/engine_policy.h"
#include "engine/prompt_scores.h"
#include "engine/runner.h"
#include "engine/scheduler.h"

namespace lmdeploy {
namespace {

// Contexts beyond this are rare in one piece; what their parts need more is taken when they come.
constexpr std::int32_t kMaxContextLen = 1 << 15;
// A question behind a long, cached conversation: few enough queries that attention divides their context
// among the threads, many enough that each part is large.
constexpr std::int32_t kQuestionLen = 64;

// In a plan a card's ops take no more than what lies between those that are one op. What their kernels need
// at once besides: logits again, for the draw, or rounded inputs of a linear layer, weights made floats,
// partial results of work that is divided, the integers of a step.
std::int64_t kernel_bytes(const Model& model, const EngineOptions& options) {
  constexpr std::int64_t kOtherBytes = std::int64_t{320} << 20;
  if (options.device == Device::cpu) return 0;
  return kOtherBytes + std::int64_t{4} * model.info().vocab_size * options.max_batch_size;
}

// Address space in which any step lies in one piece, as it will in a workspace of its size: the logits and
// their copy for the draw, and the scratch of the layers.
std::size_t ample_bytes(const Model& model, std::int32_t max_batch_size) {
  constexpr std::int64_t kLayerBytes = std::int64_t{2} << 30;
  return static_cast<std::size_t>(2 * sizeof(float) * static_cast<std::size_t>(model.info().vocab_size) *
                                      static_cast<std::size_t>(max_batch_size) +
                                  kLayerBytes);
}

class StepMeter {
 public:
  StepMeter(const Model& model, const EngineOptions& options)
      : model_(model),
        pool_(options.num_threads, ThreadPool::Tasks::skip),
        workspace_(host_allocator(), ample_bytes(model, options.max_batch_size)),
        ctx_(plan_ctx(options.device)),
        kv_pool_(make_kv_pool(ctx_, model.info(), 1)) {}

  // `num_seqs` requests that each draw: the first computes the last `num_tokens` of a context of
  // `context_len`, the others one token each. scored: all of the first one's logits are
  // wanted, from position 0 on.
  void run(std::int32_t num_seqs, std::int32_t context_len, std::int32_t num_tokens, bool scored) {
    std::vector<Sequence> sequences(static_cast<std::size_t>(num_seqs), sequence_of(1));
    sequences.front() = sequence_of(context_len);
    StepPlan plan;
    for (Sequence& sequence : sequences) plan.chunks.push_back({&sequence, sequence.len() - 1, 1, true});
    plan.chunks.front().first = context_len - num_tokens;
    plan.chunks.front().num_tokens = num_tokens;
    plan.num_drawn = num_seqs;
    PromptScores scores(context_len, 0);
    std::vector<PromptWork> wanted(sequences.size());
    if (scored) wanted.front().scores = &scores;
    const std::vector<Draw> draws(sequences.size());
    Runner(model_, ctx_, kv_pool_, num_seqs).run(plan, draws, wanted);
  }

  std::int64_t peak_bytes() const { return static_cast<std::int64_t>(workspace_.peak_bytes()); }

 private:
  // Of a card nothing but the name is needed.
  Ctx plan_ctx(Device device) {
    Ctx ctx;
    ctx.device = device;
    ctx.pool = &pool_;
    ctx.allocator = &host_allocator();
    ctx.workspace = &workspace_;
    return ctx;
  }

  Sequence sequence_of(std::int32_t len) const {
    Sequence sequence;
    sequence.token_ids.assign(static_cast<std::size_t>(len), 0);
    sequence.block_table.assign(static_cast<std::size_t>(len / kv_pool_.block_len() + 1), 0);
    return sequence;
  }

  const Model& model_;
  ThreadPool pool_;
  Workspace workspace_;
  Ctx ctx_;
  KvPool kv_pool_;
};

}  // namespace

std::int64_t max_workspace_bytes(const Model& model, const EngineOptions& options) {
  const std::int32_t session_len = std::min(
      options.session_len > 0 ? options.session_len : model.info().max_position_embeddings, kMaxContextLen);
  const std::int32_t chunk = std::min(max_prompt_tokens(options), session_len);
  StepMeter meter(model, options);
  meter.run(options.max_batch_size, chunk, chunk, false);  // most rows, most logits
  meter.run(1, chunk, chunk, true);                        // the logits of a prompt
  for (const std::int32_t num_tokens : {1, kQuestionLen})
    meter.run(1, session_len, std::min(num_tokens, session_len), false);
  return meter.peak_bytes() + kernel_bytes(model, options);
}

}  // namespace lmdeploy
