// What a model computes, as JSON: the C++ half of tools/compare_hf.py.
//
//     model_probe FOLDER float32|bfloat16|float16 [--device cpu|cuda] < request.json
//
// request:  {"prompts": [[id, ...], ...], "num_greedy": N,
//            "texts": [{"ids": [...], "window": N, "max_windows": N}, ...]}
// answer:   {"prompts": [{"logits": [...], "greedy_ids": [...]}, ...],
//            "texts": [{"perplexity", "nll", "tokens", "seconds"}, ...],
//            "load_seconds", "weight_bytes", "load_peak_rss_bytes", "peak_rss_bytes"}
// `logits` are those after the prompt.
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <iostream>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/error.h"
#include "base/log.h"
#include "model/compute_context.h"
#include "model/registry.h"
#include "ops/ops.h"
#include "quantize/evaluate.h"

namespace {

using namespace lmdeploy;
using Json = nlohmann::json;

DType parse_dtype(const std::string& name) {
  for (const DType dtype : {DType::f32, DType::bf16, DType::f16})
    if (name == dtype_name(dtype)) return dtype;
  throw Error(fmt::format("dtype {} is not known", name), "Use float32, bfloat16 or float16.");
}

Device parse_device(const std::string& name) {
  if (name == "cpu") return Device::cpu;
  if (name == "cuda") return Device::cuda;
  throw Error(fmt::format("device {} is not known", name), "Use cpu or cuda.");
}

std::int64_t peak_resident_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return std::int64_t{usage.ru_maxrss} * 1024;
}

// One sequence that grows, in blocks 0, 1, 2, ...
class Sequence {
 public:
  Sequence(Ctx& ctx, const Model& model, std::int32_t max_len)
      : ctx_(ctx),
        model_(model),
        pool_(ctx, model.info().kv_layout, model.info().num_layers,
              max_len / model.info().kv_layout.block_len + 1),
        blocks_(static_cast<std::size_t>(pool_.num_blocks())),
        logits_(*ctx.allocator, DType::f32, Shape{1, model.info().vocab_size}),
        host_logits_(host_allocator(), DType::f32, logits_.shape()) {
    std::iota(blocks_.begin(), blocks_.end(), 0);
  }

  // Logits after the last of the ids.
  std::span<const float> feed(std::span<const std::int32_t> ids) {
    std::vector<std::int32_t> positions(ids.size());
    std::iota(positions.begin(), positions.end(), len_);
    const auto count = static_cast<std::int32_t>(ids.size());
    len_ += count;
    const std::int32_t starts[] = {0, count}, last[] = {count - 1};
    model_.forward(
        ctx_, {ids, positions, starts, {&len_, 1}, blocks_, static_cast<std::int32_t>(blocks_.size()), last},
        pool_, logits_);
    ops::copy_to_host(ctx_, logits_, host_logits_);
    return {host_logits_.view().as<float>(), static_cast<std::size_t>(model_.info().vocab_size)};
  }

 private:
  Ctx& ctx_;
  const Model& model_;
  KvPool pool_;
  std::vector<std::int32_t> blocks_;
  Tensor logits_, host_logits_;  // [1, vocab_size] f32
  std::int32_t len_ = 0;
};

Json run_prompt(Ctx& ctx, const Model& model, const std::vector<std::int32_t>& ids, std::size_t num_greedy) {
  Sequence sequence(ctx, model, static_cast<std::int32_t>(ids.size() + num_greedy));
  std::span<const float> logits = sequence.feed(ids);
  const std::vector<float> first(logits.begin(), logits.end());
  std::vector<std::int32_t> greedy_ids;
  while (greedy_ids.size() < num_greedy) {
    const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
    greedy_ids.push_back(static_cast<std::int32_t>(best));
    logits = sequence.feed({&greedy_ids.back(), 1});
  }
  return {{"logits", first}, {"greedy_ids", greedy_ids}};
}

Json run_text(Ctx& ctx, const Model& model, const Json& text) {
  const std::vector<std::int32_t> ids = text.at("ids");
  const PerplexityOptions options{.window = text.at("window"), .max_windows = text.at("max_windows")};
  const Perplexity result =
      evaluate_perplexity(ctx, model, ids, options, [](const PerplexityProgress& progress) {
        fmt::print(stderr, "window {} of {}: {:.4f}\n", progress.num_windows_done, progress.num_windows,
                   progress.perplexity);
      });
  return {{"perplexity", result.perplexity},
          {"nll", result.nll},
          {"tokens", result.tokens},
          {"seconds", result.seconds}};
}

Json answer(const std::string& folder, DType dtype, Device device, const Json& request) {
  ComputeContext compute(device);
  Ctx& ctx = compute.ctx();
  LoadOptions options;
  options.dtype = dtype;
  const auto start = std::chrono::steady_clock::now();
  const auto model = load_model(ctx, folder, options);
  Json result;
  result["load_seconds"] = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  result["weight_bytes"] = model->info().weight_bytes;
  result["load_peak_rss_bytes"] = peak_resident_bytes();
  result["prompts"] = Json::array();
  for (const Json& ids : request.value("prompts", Json::array()))
    result["prompts"].push_back(run_prompt(ctx, *model, ids, request.at("num_greedy")));
  result["texts"] = Json::array();
  for (const Json& text : request.value("texts", Json::array()))
    result["texts"].push_back(run_text(ctx, *model, text));
  result["peak_rss_bytes"] = peak_resident_bytes();
  return result;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3 && !(argc == 5 && std::string(argv[3]) == "--device")) {
    fmt::print(stderr,
               "usage: model_probe FOLDER float32|bfloat16|float16 [--device cpu|cuda] < request.json\n");
    return 2;
  }
  try {
    init_log("WARNING");  // beside the answer, which goes to stdout
    const Device device = argc == 5 ? parse_device(argv[4]) : Device::cpu;
    std::cout << answer(argv[1], parse_dtype(argv[2]), device, Json::parse(std::cin)) << '\n';
  } catch (const std::exception& error) {
    fmt::print(stderr, "model_probe: {}\n", error.what());
    return 1;
  }
  return 0;
}
