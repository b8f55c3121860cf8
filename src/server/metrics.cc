#include "server/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <array>
#include <map>
#include <sstream>

#include "server/metric_families.h"

namespace lmdeploy {
namespace {

using prometheus::Counter;
using prometheus::Family;
using prometheus::Histogram;
using prometheus::MetricFamily;
using Buckets = Histogram::BucketBoundaries;

// vLLM's bounds, and finer ones below them: small models answer sooner.
const Buckets kFirstTokenSeconds{0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75,
                                 1,     2.5,   5,    7.5,  10,   20,   40,   80,  160,  640, 2560};
const Buckets kTokenGapSeconds{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3,
                               0.4,   0.5,    0.75,  1,    2.5,   5,    7.5,   10,  20,   40,  80};
const Buckets kRequestSeconds{0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1,   1.5, 2,   2.5,  5,
                              10,   15,    20,   30,  40,  50,  60,  120, 240, 480, 960, 1920, 7680};

constexpr const char* kTokenGaps = "lmdeploy:inter_token_latency_seconds";
// What vLLM called them before; dashboards still ask for it.
constexpr const char* kTokenGapsAlias = "lmdeploy:time_per_output_token_seconds";

constexpr std::array<std::string_view, 6> kMethods{"GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE"};

// 1, 2, 5, 10, ... up to `max`.
Buckets token_counts(double max) {
  Buckets bounds;
  for (double decade = 1; decade <= max; decade *= 10)
    for (const double step : {1, 2, 5})
      if (step * decade <= max) bounds.push_back(step * decade);
  return bounds;
}

constexpr std::array kFinishReasons{FinishReason::stop, FinishReason::length, FinishReason::abort,
                                    FinishReason::error, FinishReason::timeout};

}  // namespace

struct Metrics::Impl {
  Impl(const Engine& engine_in, const std::string& model_name);

  Histogram& histogram(const char* name, const char* help, const Buckets& bounds) {
    return prometheus::BuildHistogram().Name(name).Help(help).Register(registry).Add(labels, bounds);
  }

  const Engine& engine;
  const prometheus::Labels labels;
  const MetricLabels sample_labels;
  prometheus::Registry registry;

  std::map<FinishReason, Counter*> answers;
  Family<Counter>& http_requests;
  const Buckets token_bounds;
  Histogram& first_token;
  Histogram& token_gap;
  Histogram& latency;
  Histogram& queue_time;
  Histogram& prefill_time;
  Histogram& decode_time;
  Histogram& inference_time;
  Histogram& prompt_tokens;
  Histogram& generation_tokens;
  Histogram& max_tokens;
};

Metrics::Impl::Impl(const Engine& engine_in, const std::string& model_name)
    : engine(engine_in),
      labels{{"engine", "0"}, {"model_name", model_name}},
      sample_labels(engine_labels(model_name)),
      http_requests(prometheus::BuildCounter()
                        .Name("lmdeploy:http_requests_total")
                        .Help("HTTP requests by route and status; 499 is a client that left.")
                        .Register(registry)),
      token_bounds(token_counts(engine.session_len())),
      first_token(histogram("lmdeploy:time_to_first_token_seconds",
                            "From the submission of a request to its first token, in seconds.",
                            kFirstTokenSeconds)),
      token_gap(
          histogram(kTokenGaps, "From one token of an answer to the next, in seconds.", kTokenGapSeconds)),
      latency(histogram("lmdeploy:e2e_request_latency_seconds",
                        "From the submission of a request to its end, in seconds.", kRequestSeconds)),
      queue_time(histogram("lmdeploy:request_queue_time_seconds", "Until a request's first step, in seconds.",
                           kRequestSeconds)),
      prefill_time(histogram("lmdeploy:request_prefill_time_seconds",
                             "From a request's first step to its first token, in seconds.", kRequestSeconds)),
      decode_time(histogram("lmdeploy:request_decode_time_seconds",
                            "From a request's first token to its end, in seconds.", kRequestSeconds)),
      inference_time(histogram("lmdeploy:request_inference_time_seconds",
                               "From a request's first step to its end, in seconds.", kRequestSeconds)),
      prompt_tokens(
          histogram("lmdeploy:request_prompt_tokens", "Tokens of a request's prompt.", token_bounds)),
      generation_tokens(
          histogram("lmdeploy:request_generation_tokens", "Tokens of a request's answer.", token_bounds)),
      max_tokens(histogram("lmdeploy:request_params_max_tokens", "max_tokens, where a request has it.",
                           token_bounds)) {
  auto& family = prometheus::BuildCounter()
                     .Name("lmdeploy:request_success_total")
                     .Help("Answers that have ended, by finish reason.")
                     .Register(registry);
  // From the start, so that the first one of a kind is an increase.
  for (const FinishReason reason : kFinishReasons) {
    prometheus::Labels with_reason = labels;
    with_reason["finished_reason"] = finish_reason_name(reason);
    answers[reason] = &family.Add(with_reason);
  }
}

Metrics::Metrics(const Engine& engine, const std::string& model_name)
    : impl_(std::make_unique<Impl>(engine, model_name)) {}

Metrics::~Metrics() = default;

void Metrics::first_token(Seconds since_submission) {
  impl_->first_token.Observe(since_submission.count());
}

void Metrics::next_token(Seconds since_the_last) {
  impl_->token_gap.Observe(since_the_last.count());
}

void Metrics::answered(const Answer& answer) {
  impl_->answers.at(answer.finish_reason)->Increment();
  impl_->latency.Observe(answer.latency.count());
  impl_->prompt_tokens.Observe(answer.num_prompt_tokens);
  impl_->generation_tokens.Observe(answer.num_generated_tokens);
  if (answer.max_new_tokens > 0) impl_->max_tokens.Observe(answer.max_new_tokens);
}

void Metrics::computed(const RequestTimings& timings) {
  constexpr double kSecondsPerMs = 1e-3;
  impl_->queue_time.Observe(timings.queued_ms * kSecondsPerMs);
  if (timings.num_computed_tokens == 0) return;  // it left the queue without a step
  impl_->prefill_time.Observe(timings.prefill_ms * kSecondsPerMs);
  impl_->decode_time.Observe(timings.decode_ms * kSecondsPerMs);
  impl_->inference_time.Observe((timings.prefill_ms + timings.decode_ms + timings.preempted_ms) *
                                kSecondsPerMs);
}

void Metrics::http_request(std::string_view method, std::string_view route, int status) {
  const bool known = std::find(kMethods.begin(), kMethods.end(), method) != kMethods.end();
  impl_->http_requests
      .Add({{"method", known ? std::string(method) : "other"},
            {"route", std::string(route)},
            {"status", std::to_string(status)}})
      .Increment();
}

std::string Metrics::text() const {
  std::vector<MetricFamily> families = impl_->registry.Collect();
  const auto gaps = std::find_if(families.begin(), families.end(),
                                 [](const MetricFamily& family) { return family.name == kTokenGaps; });
  MetricFamily alias = *gaps;
  alias.name = kTokenGapsAlias;
  families.push_back(std::move(alias));
  for (auto&& more :
       {engine_families(impl_->engine.stats(), impl_->sample_labels), process_families(read_process_stats())})
    families.insert(families.end(), more.begin(), more.end());
  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, families);
  return out.str();
}

}  // namespace lmdeploy
