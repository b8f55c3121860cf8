#pragma once
#include <cstdint>
#include <vector>

#include "server/openai_answer.h"

namespace lmdeploy {

// best_of: keeps what the candidates of each prompt say until all have ended, then gives out the likeliest
// ones, by the mean log probability of their tokens.
class BestAnswers {
 public:
  // Candidate p * num_candidates + i is one for prompt p.
  BestAnswers(std::int32_t num_prompts, std::int32_t num_candidates, std::int32_t num_choices);

  void add(const AnswerChunk& chunk);                           // choice_idx: of the candidate
  void add_logprob(std::int32_t candidate_idx, float logprob);  // of one more of its tokens

  // The chunks of the chosen, the likeliest first: choice_idx p * num_choices + rank. Of equals the first
  // wins.
  std::vector<AnswerChunk> take();

 private:
  struct Candidate {
    std::vector<AnswerChunk> chunks;
    double sum_logprob = 0;
    std::int32_t num_tokens = 0;

    double mean_logprob() const { return num_tokens == 0 ? 0 : sum_logprob / num_tokens; }
  };
  std::int32_t num_candidates_;
  std::int32_t num_choices_;
  std::vector<Candidate> candidates_;
};

}  // namespace lmdeploy
