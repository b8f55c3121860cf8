#pragma once
#include <map>
#include <memory>
#include <vector>

#include "server/answer_permit.h"
#include "server/embeddings.h"
#include "server/exchange.h"
#include "server/generation.h"

namespace lmdeploy {

class ApiError;

// One request for embeddings while it is answered: some of its inputs are in the engine at a time, so that a
// long list neither fills the queue nor keeps others waiting behind it.
class EmbeddingTask : public std::enable_shared_from_this<EmbeddingTask> {
 public:
  // params: of each input; their pooling is not none.
  EmbeddingTask(const ServedModel& model, std::shared_ptr<Exchange> exchange, EmbeddingsRequest request,
                GenerationParams params, std::vector<std::vector<TokenId>> inputs);

  // Throws ApiError where the engine does not take the first inputs; then none is computed.
  void start(AnswerPermit permit);

 private:
  bool is_over() const { return running_ == nullptr; }
  void submit_more();
  void submit_next();
  void on_delta(std::size_t idx, const TextDelta& delta);
  void fail(const ApiError& error);
  void complete();
  void abort_all();
  AnswerReport report() const;

  const ServedModel& model_;
  std::shared_ptr<Exchange> exchange_;
  const EmbeddingsRequest request_;
  const GenerationParams params_;
  std::vector<std::vector<TokenId>> inputs_;
  std::vector<std::vector<float>> embeddings_;  // [inputs_.size()]
  std::unique_ptr<Admission::Ticket> ticket_;
  std::unique_ptr<RunningAnswers::Ticket> running_;
  std::map<std::size_t, std::shared_ptr<Generation>> generations_;  // that run, by input
  std::size_t next_ = 0;                                            // of the inputs, to be submitted
  std::int64_t num_prompt_tokens_ = 0;
  double received_ms_ = 0;
  RequestTimings last_timings_;
};

}  // namespace lmdeploy
