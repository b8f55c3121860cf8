#pragma once
// One request's answer while it is made: its choices generate at once, and their chunks go to the client.
#include <memory>
#include <optional>
#include <vector>

#include "server/answer_format.h"
#include "server/answer_permit.h"
#include "server/best_answers.h"
#include "server/exchange.h"
#include "server/generation.h"
#include "server/openai.h"

namespace lmdeploy {

class AnswerTask : public std::enable_shared_from_this<AnswerTask> {
 public:
  AnswerTask(const ServedModel& model, std::shared_ptr<Exchange> exchange,
             std::unique_ptr<AnswerFormat> format, const AnswerOptions& options);

  // Choice p * num_candidates + i answers prompt p with seed + i. Throws ApiError where the engine does not
  // take all of them; then none runs.
  void start(const std::vector<std::vector<TokenId>>& prompts, AnswerPermit permit);

 private:
  struct Choice {
    std::shared_ptr<Generation> generation;
    std::optional<AnswerParser> parser;
    std::int32_t num_generated_tokens = 0;
    std::int64_t num_reasoning_tokens = 0;
    std::int64_t num_echoed_chars = 0;
    bool begun = false;
    bool finished = false;
  };
  void start_choice(std::vector<TokenId> prompt_ids, const GenerationParams& params);
  void start_stream();
  void on_delta(std::int32_t choice_idx, const TextDelta& delta);
  AnswerChunk chunk_of(std::int32_t choice_idx, const TextDelta& delta);
  void parse(Choice& choice, const TextDelta& delta, AnswerChunk& chunk);
  void add_pieces(AnswerPieces pieces, AnswerChunk& chunk) const;
  void add_echo(std::int32_t choice_idx, const TextDelta& delta, AnswerChunk& chunk);
  void deliver(const AnswerChunk& chunk);
  void finish_choice(std::int32_t choice_idx, FinishReason reason, std::string stop_string = {});
  void end_early();
  void fail(const ApiError& error);
  void complete();
  void abort_all();
  AnswerReport report() const;

  const ServedModel& model_;
  std::shared_ptr<Exchange> exchange_;
  const std::unique_ptr<AnswerFormat> format_;
  const AnswerOptions options_;
  std::unique_ptr<Admission::Ticket> ticket_;
  std::unique_ptr<RunningAnswers::Ticket> running_;
  std::vector<TokenId> first_tokens_;  // of the prompts
  std::vector<Choice> choices_;
  std::optional<BestAnswers> best_;  // where more answers are made than are wanted
  std::int32_t num_unfinished_ = 0;
  double received_ms_ = 0;
  RequestTimings last_timings_;
  AnswerUsage usage_;
};

}  // namespace lmdeploy
