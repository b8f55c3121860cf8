#pragma once
// One request's answer while it is made: its choices generate at once, and their chunks go to the client.
#include <memory>
#include <vector>

#include "server/admission.h"
#include "server/exchange.h"
#include "server/generation.h"
#include "server/openai.h"
#include "server/openai_answer.h"

namespace lmdeploy {

class AnswerTask : public std::enable_shared_from_this<AnswerTask> {
 public:
  AnswerTask(const ServedModel& model, std::shared_ptr<Exchange> exchange, AnswerHead head, bool stream);

  // Choice p * num_choices + i answers prompt p with seed + i. Throws ApiError where the engine does not take
  // all of them; then none runs.
  void start(const std::vector<std::vector<TokenId>>& prompts, const AnswerOptions& options,
             std::unique_ptr<Admission::Ticket> ticket);

 private:
  void start_choice(std::vector<TokenId> prompt_ids, const GenerationParams& params);
  void on_delta(std::int32_t choice_idx, const TextDelta& delta);
  void deliver(const AnswerChunk& chunk);
  void fail(const ApiError& error);
  void complete();
  void abort_all();

  const ServedModel& model_;
  std::shared_ptr<Exchange> exchange_;
  const AnswerHead head_;
  const bool stream_;
  std::unique_ptr<Admission::Ticket> ticket_;
  std::vector<std::shared_ptr<Generation>> generations_;  // one per choice
  std::int32_t num_unfinished_ = 0;
  AnswerUsage usage_;
  AnswerFold fold_{0};
};

}  // namespace lmdeploy
