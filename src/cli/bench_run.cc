#include "cli/bench_run.h"

#include <condition_variable>
#include <mutex>
#include <random>
#include <variant>

#include "base/error.h"
#include "cli/stopwatch.h"
#include "model/model.h"

namespace lmdeploy::cli {
namespace {

// Filled by the engine's thread, awaited by the caller's.
struct Board {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<RequestTimes> times;
  std::size_t num_finished = 0;
  std::string error;
  Stopwatch watch;

  void record(std::size_t request_idx, const Output& output) {
    const std::lock_guard lock(mutex);
    RequestTimes& request = times[request_idx];
    if (output.token >= 0) {
      request.last = watch.seconds();
      if (request.num_tokens++ == 0) request.first = request.last;
    }
    if (output.finish_reason == FinishReason::none) return;
    if (output.finish_reason == FinishReason::error) error = output.error;
    ++num_finished;
    changed.notify_one();
  }
};

std::vector<Request> make_requests(const BenchLoad& load, std::int32_t vocab_size) {
  std::mt19937_64 random(load.seed);
  std::uniform_int_distribution<TokenId> id(0, vocab_size - 1);
  std::vector<Request> requests(static_cast<std::size_t>(load.num_requests));
  for (Request& request : requests) {
    request.prompt_ids.resize(static_cast<std::size_t>(load.input_len));
    for (TokenId& token : request.prompt_ids) token = id(random);
    request.sampling.temperature = 0;
    request.max_new_tokens = load.output_len;
    request.ignore_eos = true;
  }
  return requests;
}

}  // namespace

std::vector<RequestTimes> run_load(Engine& engine, const BenchLoad& load) {
  std::vector<Request> requests = make_requests(load, engine.model().info().vocab_size);
  Board board;
  board.times.resize(requests.size());
  std::vector<RequestId> running;
  board.watch = Stopwatch();
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const SubmitResult result =
        engine.submit(std::move(requests[i]), [&board, i](const Output& output) { board.record(i, output); });
    if (const auto* rejected = std::get_if<Rejected>(&result)) {
      for (const RequestId id : running) engine.abort(id);
      std::unique_lock lock(board.mutex);
      board.changed.wait(lock, [&] { return board.num_finished == running.size(); });
      throw Error(
          fmt::format("the engine refuses request {} of {}: {}", i + 1, load.num_requests, rejected->message),
          "Choose smaller --input-len, --output-len or --num-prompts.");
    }
    running.push_back(std::get<RequestId>(result));
  }
  std::unique_lock lock(board.mutex);
  board.changed.wait(lock, [&] { return board.num_finished == running.size(); });
  if (!board.error.empty()) throw Error(fmt::format("the engine failed: {}", board.error));
  return board.times;
}

}  // namespace lmdeploy::cli
