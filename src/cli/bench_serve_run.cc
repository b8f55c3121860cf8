#include "cli/bench_serve_run.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "base/error.h"
#include "cli/stopwatch.h"
#include "client/completion_stream.h"
#include "client/error_message.h"
#include "client/http_client_pool.h"

namespace lmdeploy::cli {
namespace {

using Json = nlohmann::ordered_json;
using std::chrono::milliseconds;

constexpr milliseconds kProgressInterval{100};
constexpr std::size_t kMaxErrorBytes = 64 << 10;  // of a refusal's body

std::string request_body(const ServeTarget& target, const BenchPrompt& prompt) {
  Json body{{"model", target.model}};
  if (target.is_chat)
    body["messages"] = {{{"role", "user"}, {"content", prompt.text}}};
  else
    body["prompt"] = prompt.text;
  body["max_tokens"] = prompt.output_len;
  body["temperature"] = target.temperature;
  body["stream"] = true;
  body["stream_options"] = {{"include_usage", true}};
  if (target.ignore_eos) body["ignore_eos"] = true;
  body.update(target.extra_body);
  return body.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// One request under way.
struct Following {
  ServeRecord& record;
  client::CompletionStream stream;
  std::string refusal;  // the body of an answer that is none
  double last = 0;      // when text came, after the start of the run
};

void feed(Following& request, int status, std::string_view data, double now) {
  if (status != 200) {
    if (request.refusal.size() < kMaxErrorBytes) request.refusal.append(data);
    return;
  }
  ServeRecord& record = request.record;
  for (int num_outputs = request.stream.feed(data); num_outputs > 0; --num_outputs) {
    if (request.last == 0)
      record.ttft = now - record.start;
    else
      record.itls.push_back(now - request.last);
    request.last = now;
  }
}

std::string failure_of(const Following& request, const client::HttpResponse& response) {
  if (response.status == 0) return "no answer: " + response.failure;
  if (response.status != 200)
    return fmt::format("status {}: {}", response.status, client::error_message(request.refusal));
  if (!request.stream.error().empty()) return "the stream ended with: " + request.stream.error();
  if (!response.failure.empty()) return "the connection broke: " + response.failure;
  if (!request.stream.done()) return "the stream ended without an end";
  return {};
}

void finish(Following& request, const client::HttpResponse& response, double now) {
  ServeRecord& record = request.record;
  record.error = failure_of(request, response);
  record.succeeded = record.error.empty();
  // An answer without any text (all of its tokens special) shows itself with its end.
  if (request.last == 0) record.ttft = now - record.start;
  record.latency = (request.last == 0 ? now : request.last) - record.start;
  record.text = request.stream.text();
  record.output_len = request.stream.completion_tokens();
  if (record.output_len < 0) record.output_len = std::ssize(record.itls) + (request.last > 0 ? 1 : 0);
  if (record.prompt_len < 0) record.prompt_len = std::max<std::int64_t>(0, request.stream.prompt_tokens());
}

class LoadRun {
 public:
  LoadRun(const ServeTarget& target, const std::vector<BenchPrompt>& prompts, const ServePace& pace)
      : target_(target), prompts_(prompts), pace_(pace), pool_(client_options()), records_(prompts.size()) {}

  ServeRun run(const std::function<bool(std::size_t)>& on_progress) {
    bool wanted = true;
    while (wanted && num_done_ < prompts_.size()) {
      start_due();
      pool_.poll(wait());
      wanted = on_progress(num_done_);
    }
    for (ServeRecord& record : records_)
      if (!record.succeeded && record.error.empty()) record.error = "interrupted";
    return {std::move(records_), num_done_ == prompts_.size() ? end_ : watch_.seconds()};
  }

 private:
  // An answer may wait in a queue for long without a byte.
  static client::HttpOptions client_options() {
    client::HttpOptions options;
    options.stall_timeout = milliseconds(0);
    return options;
  }

  bool may_start() const {
    return num_started_ < prompts_.size() && pool_.num_running() < pace_.max_concurrency;
  }

  void start_due() {
    while (may_start() && watch_.seconds() >= pace_.arrivals[num_started_]) start(num_started_++);
  }

  milliseconds wait() const {
    if (!may_start()) return kProgressInterval;
    const double seconds = pace_.arrivals[num_started_] - watch_.seconds();
    return std::clamp(milliseconds(static_cast<std::int64_t>(std::ceil(1e3 * seconds))), milliseconds(0),
                      kProgressInterval);
  }

  void start(std::size_t idx) {
    ServeRecord& record = records_[idx];
    record.prompt_len = prompts_[idx].prompt_len;
    const auto request = std::make_shared<Following>(record);
    client::HttpRequest message{"POST", target_.url, target_.headers, request_body(target_, prompts_[idx])};
    record.start = watch_.seconds();
    pool_.start(
        std::move(message),
        [this, request](const client::HttpResponse& head, std::string_view data) {
          feed(*request, head.status, data, watch_.seconds());
          return true;
        },
        [this, request](const client::HttpResponse& response) {
          end_ = watch_.seconds();
          finish(*request, response, end_);
          ++num_done_;
        });
  }

  const ServeTarget& target_;
  const std::vector<BenchPrompt>& prompts_;
  const ServePace& pace_;
  client::HttpClientPool pool_;
  std::vector<ServeRecord> records_;
  std::size_t num_started_ = 0;
  std::size_t num_done_ = 0;
  double end_ = 0;
  Stopwatch watch_;
};

}  // namespace

ServeRun run_serve_load(const ServeTarget& target, const std::vector<BenchPrompt>& prompts,
                        const ServePace& pace, const std::function<bool(std::size_t)>& on_progress) {
  return LoadRun(target, prompts, pace).run(on_progress);
}

}  // namespace lmdeploy::cli
