#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <variant>

#include "engine/request.h"

namespace lmdeploy {

class Model;

struct EngineOptions {
  std::int32_t session_len = 0;       // tokens of prompt and answer; 0: the model's max_position_embeddings
  std::int32_t max_batch_size = 128;  // sequences that run at once
  std::int32_t max_prefill_token_num = 8192;  // prompt tokens of one step
  std::int32_t max_queue_len = 1024;          // requests that wait; beyond it submit() says queue_full
  std::int64_t cache_bytes = 0;               // of the KV cache; computed by the caller (docs/engine.md)
  int num_threads = 0;                        // 0: all usable CPUs
};

// Why a request was not taken: an expected outcome, not an error.
struct Rejected {
  enum class Reason : std::uint8_t { invalid, too_long, queue_full, shutting_down };
  Reason reason;
  std::string message;  // what was expected and found, for the user
};
using SubmitResult = std::variant<RequestId, Rejected>;

struct EngineStats {
  std::int32_t num_running = 0;
  std::int32_t num_waiting = 0;
  std::int64_t num_blocks = 0;
  std::int64_t num_used_blocks = 0;  // referenced by a request
  std::int32_t block_len = 0;
  std::uint64_t num_preemptions = 0;
  std::uint64_t num_prompt_tokens = 0;  // computed so far
  std::uint64_t num_generated_tokens = 0;
};

// The loop and its thread: takes requests from any thread, batches them continuously, delivers tokens to
// their sinks.
class Engine {
 public:
  Engine(std::unique_ptr<const Model> model, const EngineOptions& options);
  ~Engine();  // aborts what runs, then joins
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  SubmitResult submit(Request request, Sink sink);

  // Ends the request within one step; its sink gets finish_reason abort unless it ended before. Unknown ids
  // are ignored.
  void abort(RequestId id);

  EngineStats stats() const;
  std::int32_t session_len() const noexcept;
  const Model& model() const noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lmdeploy
