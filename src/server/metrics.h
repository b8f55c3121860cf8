#pragma once
// What /metrics tells, in Prometheus' text format: vLLM's names and units under the prefix `lmdeploy:`, so
// that its dashboards and alerts work after a change of prefix.
//
// Counts of the engine are read when somebody asks. What is observed per token costs one lock that two io
// threads hardly ever want at once; everything else is observed once per request.
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "engine/request.h"

namespace lmdeploy {

class Engine;

class Metrics {
 public:
  using Seconds = std::chrono::duration<double>;

  // model_name is the label of that name. The engine is borrowed.
  Metrics(const Engine& engine, const std::string& model_name);
  ~Metrics();

  // All from any thread. An answer is one request of the engine: a choice of a client's request.
  struct Answer {
    FinishReason finish_reason = FinishReason::none;
    Seconds latency{0};  // from submission to its end
    std::int32_t num_prompt_tokens = 0;
    std::int32_t num_generated_tokens = 0;
    std::int32_t max_new_tokens = 0;  // as asked; 0: not asked
  };
  void first_token(Seconds since_submission);
  void next_token(Seconds since_the_last);
  void answered(const Answer& answer);
  void computed(const RequestTimings& timings);

  // `route` is the pattern of the table of routes, never what the client wrote: labels are bounded in number.
  void http_request(std::string_view method, std::string_view route, int status);

  std::string text() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lmdeploy
