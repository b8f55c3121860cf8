#include "engine/answers.h"

#include <gtest/gtest.h>

#include <random>
#include <thread>
#include <utility>

namespace lmdeploy::testing {

Sink Answers::sink(int key) {
  return [this, key](const Output& output) {
    const std::lock_guard lock(mutex_);
    Answer& answer = answers_[key];
    if (answer.num_last_calls > 0) answer.num_later_calls++;
    answer.request_id = output.request_id;
    answer.timings = output.timings;
    if (output.token >= 0) {
      answer.tokens.push_back(output.token);
      answer.logprobs.push_back(output.logprob);
      answer.top_logprobs.push_back(output.top_logprobs);
    }
    if (output.prompt_scores != nullptr) {
      answer.prompt_scores = *output.prompt_scores;
      answer.num_prompt_scores++;
    }
    if (output.embedding != nullptr) answer.embedding = *output.embedding;
    if (output.finish_reason != FinishReason::none) {
      answer.finish_reason = output.finish_reason;
      answer.error = output.error;
      answer.num_last_calls++;
    }
    change_.notify_all();
  };
}

template <class Done>
Answer Answers::wait_until(int key, const Done& done) {
  std::unique_lock lock(mutex_);
  EXPECT_TRUE(change_.wait_for(lock, std::chrono::seconds(10), [&] { return done(answers_[key]); }))
      << "request " << key << " has " << answers_[key].tokens.size() << " tokens";
  return answers_[key];
}

Answer Answers::wait(int key) {
  return wait_until(key, [](const Answer& answer) { return answer.num_last_calls > 0; });
}

Answer Answers::wait_for_tokens(int key, std::size_t num_tokens) {
  return wait_until(key, [=](const Answer& answer) { return answer.tokens.size() >= num_tokens; });
}

std::size_t Answers::num_ended() const {
  const std::lock_guard lock(mutex_);
  std::size_t count = 0;
  for (const auto& [key, answer] : answers_) count += answer.num_last_calls > 0 ? 1 : 0;
  return count;
}

std::map<int, Answer> Answers::all() const {
  const std::lock_guard lock(mutex_);
  return answers_;
}

RequestId submit(Engine& engine, const Request& request, Answers& answers, int key) {
  const SubmitResult result = engine.submit(request, answers.sink(key));
  if (const auto* rejected = std::get_if<Rejected>(&result)) {
    ADD_FAILURE() << "rejected: " << rejected->message;
    return 0;
  }
  return std::get<RequestId>(result);
}

Answer answer(Engine& engine, const Request& request) {
  // Shared with the sink, which may outlive a wait that timed out.
  auto answers = std::make_shared<Answers>();
  const SubmitResult result =
      engine.submit(request, [answers, sink = answers->sink(0)](const Output& output) { sink(output); });
  if (const auto* rejected = std::get_if<Rejected>(&result)) {
    ADD_FAILURE() << "rejected: " << rejected->message;
    return {};
  }
  return answers->wait(0);
}

bool eventually(const std::function<bool()>& ready) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  while (!ready()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

Request greedy_request(std::vector<TokenId> prompt_ids, std::int32_t max_new_tokens) {
  Request request;
  request.prompt_ids = std::move(prompt_ids);
  request.sampling.temperature = 0;
  request.max_new_tokens = max_new_tokens;
  return request;
}

std::vector<TokenId> some_prompt(int seed, int len, std::int32_t vocab_size) {
  std::mt19937 random(static_cast<std::uint32_t>(seed));
  std::vector<TokenId> ids(static_cast<std::size_t>(len));
  for (TokenId& id : ids) id = static_cast<TokenId>(random() % static_cast<std::uint32_t>(vocab_size));
  return ids;
}

}  // namespace lmdeploy::testing
