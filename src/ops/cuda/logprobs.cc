#include <algorithm>
#include <cmath>
#include <vector>

#include "ops/cuda/cuda_ops.h"
#include "ops/cuda/launch.h"
#include "ops/cuda/logprobs_kernel.h"
#include "tensor/cuda/device.h"

namespace lmdeploy::ops::cuda {
namespace {

using lmdeploy::cuda::copy_to_host;

LogitRows rows_of(const View& logits) {
  return {logits.as<float>(), logits.row_stride, logits.dim(0), static_cast<std::int32_t>(logits.dim(1))};
}

float logprob(float logit, double log_sum) {
  return static_cast<float>(static_cast<double>(logit) - log_sum);
}

// Undefined where the target is below 0.
std::vector<RowSum> row_sums(Ctx& ctx, const View& logits, std::span<const std::int32_t> targets) {
  const Workspace::Scope scope(*ctx.workspace);
  std::vector<RowSum> sums(targets.size());
  const std::size_t bytes = sums.size() * sizeof(RowSum);
  const std::int32_t* device_targets = on_device(ctx, Indices(targets));
  auto* device_sums =
      static_cast<RowSum*>(ctx.workspace->take(DType::u8, {static_cast<std::int64_t>(bytes)}).data);
  CUDA_CHECK(launch_row_sums(rows_of(logits), device_targets, device_sums, stream_of(ctx)));
  copy_to_host(sums.data(), device_sums, bytes, ctx.stream);
  return sums;
}

// counts[i] of each row in turn, by ascending ids.
std::vector<IdLogit> top_logits(Ctx& ctx, const View& logits, std::span<const std::int32_t> counts) {
  const Workspace::Scope scope(*ctx.workspace);
  std::vector<std::int64_t> offsets;
  std::int64_t total = 0;
  for (const std::int32_t count : counts) {
    offsets.push_back(total);
    total += count;
  }
  std::vector<IdLogit> tops(static_cast<std::size_t>(total));
  if (tops.empty()) return tops;
  const auto bytes = static_cast<std::int64_t>(tops.size() * sizeof(IdLogit));
  TopLogits arguments{};
  arguments.rows = rows_of(logits);
  arguments.counts = on_device(ctx, Indices(counts));
  arguments.offsets =
      static_cast<const std::int64_t*>(on_device(ctx, offsets.data(), offsets.size() * sizeof(std::int64_t)));
  arguments.tops = static_cast<IdLogit*>(ctx.workspace->take(DType::u8, {bytes}).data);
  CUDA_CHECK(launch_top_logits(arguments, stream_of(ctx)));
  copy_to_host(tops.data(), arguments.tops, static_cast<std::size_t>(bytes), ctx.stream);
  return tops;
}

std::vector<IdLogprob> most_likely_first(std::span<IdLogit> tops, double log_sum) {
  if (!std::isfinite(log_sum)) return {};
  std::sort(tops.begin(), tops.end(), [](const IdLogit& a, const IdLogit& b) {
    return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
  });
  std::vector<IdLogprob> result;
  result.reserve(tops.size());
  for (const IdLogit& top : tops) result.push_back({top.id, logprob(top.logit, log_sum)});
  return result;
}

}  // namespace

void token_logprobs(Ctx& ctx, const View& logits, std::span<const std::int32_t> targets,
                    std::span<float> logprobs) {
  if (targets.empty()) return;
  const std::vector<RowSum> sums = row_sums(ctx, logits, targets);
  for (std::size_t i = 0; i < targets.size(); i++)
    logprobs[i] = targets[i] < 0 ? 0 : logprob(sums[i].logit, sums[i].log_sum);
}

void top_logprobs(Ctx& ctx, const View& logits, std::span<const std::int32_t> counts,
                  std::span<std::vector<IdLogprob>> tops) {
  if (counts.empty()) return;
  constexpr std::int32_t kAnyId = 0, kNoId = -1;
  std::vector<std::int32_t> at_most_v, targets;
  for (const std::int32_t count : counts) {
    at_most_v.push_back(static_cast<std::int32_t>(std::min<std::int64_t>(count, logits.dim(1))));
    targets.push_back(at_most_v.back() > 0 ? kAnyId : kNoId);
  }
  const std::vector<RowSum> sums = row_sums(ctx, logits, targets);
  std::vector<IdLogit> all = top_logits(ctx, logits, at_most_v);
  std::size_t begin = 0;
  for (std::size_t i = 0; i < tops.size(); i++) {
    const auto count = static_cast<std::size_t>(at_most_v[i]);
    tops[i] = count == 0 ? std::vector<IdLogprob>()
                         : most_likely_first(std::span(all).subspan(begin, count), sums[i].log_sum);
    begin += count;
  }
}

}  // namespace lmdeploy::ops::cuda
