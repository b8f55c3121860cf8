#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <variant>

#include "engine/request.h"
#include "tensor/ctx.h"

namespace lmdeploy {

class Model;

struct EngineOptions {
  Device device = Device::cpu;        // where the model's weights are
  std::int32_t session_len = 0;       // tokens of prompt and answer; 0: the model's max_position_embeddings
  std::int32_t max_batch_size = 128;  // sequences that run at once
  std::int32_t max_prefill_token_num = 8192;  // prompt tokens of one step
  std::int32_t max_queue_len = 1024;  // requests beyond max_batch_size; past it submit() says queue_full
  std::int64_t max_queue_tokens = std::int64_t{1} << 20;  // prompt tokens that wait; past it, queue_full
  std::int64_t cache_bytes = 0;      // of the KV cache: CachePlan::bytes of engine/cache_plan.h
  std::int64_t workspace_bytes = 0;  // scratch of a step, known beforehand; beyond it more is taken as needed
  int num_threads = 0;               // of the CPU, 0: all usable ones; a card needs no other than the loop's
  bool deterministic = false;        // on a card: the same bits whatever the company (Ctx::deterministic)
  bool enable_prefix_caching = true;  // blocks keep their tokens for the next prompt that begins so
  bool eager = false;                 // on a card: steps are launched op by op, without graphs; for debugging
  int steps_ahead = -1;  // 1: a step is launched before the tokens of the one before it are known, 0: behind
                         // them; -1: 1 on a card, whose work the host need not wait for, unless it is eager
};

// Why a request was not taken: an expected outcome, not an error.
struct Rejected {
  enum class Reason : std::uint8_t {
    invalid,
    too_long,
    queue_full,
    shutting_down,
    unhealthy,  // the model fails; see Engine::healthy()
  };
  Reason reason;
  std::string message;  // what was expected and found, for the user
};
using SubmitResult = std::variant<RequestId, Rejected>;

struct EngineStats {
  std::int32_t num_running = 0;
  std::int32_t num_waiting = 0;
  std::int64_t num_blocks = 0;
  std::int64_t num_used_blocks = 0;    // referenced by a request
  std::int64_t num_cached_blocks = 0;  // referenced by none, kept for their tokens until they are needed
  std::int64_t resident_bytes = 0;  // of the blocks' memory: what was used at some time, and a little ahead
  std::int32_t block_len = 0;
  std::uint64_t num_preemptions = 0;
  std::uint64_t num_prompt_tokens = 0;  // of the prompts computed so far, each counted once
  std::uint64_t num_generated_tokens = 0;
  std::uint64_t num_computed_tokens = 0;     // of prompts and answers, recomputation included
  std::uint64_t num_cache_query_tokens = 0;  // prompt tokens looked up in the prefix cache
  std::uint64_t num_cache_hit_tokens = 0;    // of these, found
};

// The loop and its thread: takes requests from any thread, batches them continuously, delivers tokens to
// their sinks.
class Engine {
 public:
  Engine(std::unique_ptr<const Model> model, const EngineOptions& options);
  ~Engine();  // aborts what runs, then joins
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // From any thread. The sink may be called before submit() returns.
  SubmitResult submit(Request request, Sink sink);

  // From any thread. Ends the request within one step; its sink gets finish_reason abort unless it ended
  // before. Unknown ids are ignored.
  void abort(RequestId id);

  // Never older than the last output that a sink got.
  EngineStats stats() const;

  // False while the model fails even on a single token: submit() rejects then. It is tried again each second.
  bool healthy() const noexcept;
  // True once the card has failed in a way that only another process can recover from: never healthy again.
  bool lost_device() const noexcept;

  // Longest prompt and answer together that a request can have: the option, or what the cache holds.
  std::int32_t session_len() const noexcept;
  std::int32_t hidden_size() const noexcept;  // of the model: dimensions of an embedding
  const Model& model() const noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lmdeploy
