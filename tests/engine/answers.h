#pragma once
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "engine/request.h"

namespace lmdeploy::testing {

struct Answer {
  std::vector<TokenId> tokens;
  std::vector<float> logprobs;
  std::vector<std::vector<TokenLogprob>> top_logprobs;
  std::vector<TokenScore> prompt_scores;
  int num_prompt_scores = 0;  // calls that brought them
  std::vector<float> embedding;
  FinishReason finish_reason = FinishReason::none;
  std::string error;
  int num_last_calls = 0;   // with a finish_reason: must become 1
  int num_later_calls = 0;  // after that one: must stay 0
  RequestId request_id = 0;
  RequestTimings timings;
};

// Receives the answers of many requests and waits for them. Outlives the engine.
class Answers {
 public:
  Sink sink(int key);

  // The answer once it ended; fails the test and returns what there is after ten seconds.
  Answer wait(int key);
  Answer wait_for_tokens(int key, std::size_t num_tokens);
  std::size_t num_ended() const;
  std::map<int, Answer> all() const;

 private:
  template <class Done>
  Answer wait_until(int key, const Done& done);

  mutable std::mutex mutex_;
  std::condition_variable change_;
  std::map<int, Answer> answers_;
};

// Submits and gives the id; fails the test where the request is rejected.
RequestId submit(Engine& engine, const Request& request, Answers& answers, int key);

// One request, alone in this engine.
Answer answer(Engine& engine, const Request& request);

// True once ready() is, within five seconds.
bool eventually(const std::function<bool()>& ready);

Request greedy_request(std::vector<TokenId> prompt_ids, std::int32_t max_new_tokens);
std::vector<TokenId> some_prompt(int seed, int len, std::int32_t vocab_size = 64);

}  // namespace lmdeploy::testing
