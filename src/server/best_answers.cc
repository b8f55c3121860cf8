#include "server/best_answers.h"

#include <algorithm>

namespace lmdeploy {

BestAnswers::BestAnswers(std::int32_t num_prompts, std::int32_t num_candidates, std::int32_t num_choices)
    : num_candidates_(num_candidates),
      num_choices_(num_choices),
      candidates_(static_cast<std::size_t>(num_prompts) * static_cast<std::size_t>(num_candidates)) {}

void BestAnswers::add(const AnswerChunk& chunk) {
  candidates_.at(static_cast<std::size_t>(chunk.choice_idx)).chunks.push_back(chunk);
}

void BestAnswers::add_logprob(std::int32_t candidate_idx, float logprob) {
  Candidate& candidate = candidates_.at(static_cast<std::size_t>(candidate_idx));
  candidate.sum_logprob += static_cast<double>(logprob);
  candidate.num_tokens++;
}

std::vector<AnswerChunk> BestAnswers::take() {
  std::vector<AnswerChunk> chosen;
  std::int32_t choice_idx = 0;
  std::vector<Candidate*> ranked(static_cast<std::size_t>(num_candidates_));
  for (std::size_t first = 0; first < candidates_.size(); first += ranked.size()) {
    for (std::size_t i = 0; i < ranked.size(); ++i) ranked[i] = &candidates_[first + i];
    std::ranges::sort(ranked, [](const Candidate* a, const Candidate* b) {
      return a->mean_logprob() != b->mean_logprob() ? a->mean_logprob() > b->mean_logprob() : a < b;
    });
    for (std::int32_t rank = 0; rank < num_choices_; ++rank, ++choice_idx)
      for (AnswerChunk& chunk : ranked[static_cast<std::size_t>(rank)]->chunks) {
        chunk.choice_idx = choice_idx;
        chosen.push_back(std::move(chunk));
      }
  }
  return chosen;
}

}  // namespace lmdeploy
