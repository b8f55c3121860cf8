#include "ops/cuda/logprobs.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "ops/cuda/cuda_ops.h"
#include "ops/cuda/launch.h"
#include "tensor/cuda/device.h"

namespace lmdeploy::ops::cuda {
namespace {

using lmdeploy::cuda::copy_to_host;

LogitRows rows_of(const View& logits) {
  return {logits.as<float>(), logits.row_stride, logits.dim(0), static_cast<std::int32_t>(logits.dim(1))};
}

std::int64_t sum_of(std::span<const std::int32_t> counts) {
  return std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
}

std::vector<RowSum> row_sums(Ctx& ctx, const View& logits, std::span<const std::int32_t> targets) {
  const Workspace::Scope scope(*ctx.workspace);
  std::vector<RowSum> sums(targets.size());
  const RowSum* device_sums = put_row_sums(ctx, logits, on_device(ctx, Indices(targets)));
  copy_to_host(sums.data(), device_sums, sums.size() * sizeof(RowSum), ctx.stream);
  return sums;
}

std::vector<IdLogit> top_logits(Ctx& ctx, const View& logits, std::span<const std::int32_t> counts) {
  const Workspace::Scope scope(*ctx.workspace);
  std::vector<IdLogit> tops(static_cast<std::size_t>(sum_of(counts)));
  const IdLogit* device_tops = put_top_logits(ctx, logits, counts);
  copy_to_host(tops.data(), device_tops, tops.size() * sizeof(IdLogit), ctx.stream);
  return tops;
}

}  // namespace

RowSum* put_row_sums(Ctx& ctx, const View& logits, const std::int32_t* targets) {
  const auto bytes = logits.dim(0) * static_cast<std::int64_t>(sizeof(RowSum));
  auto* sums = static_cast<RowSum*>(ctx.workspace->take(DType::u8, {bytes}).data);
  CUDA_CHECK(launch_row_sums(rows_of(logits), targets, sums, stream_of(ctx)));
  return sums;
}

IdLogit* put_top_logits(Ctx& ctx, const View& logits, std::span<const std::int32_t> counts) {
  const std::int64_t total = sum_of(counts);
  if (total == 0) return nullptr;
  std::vector<std::int64_t> offsets(counts.size());
  std::exclusive_scan(counts.begin(), counts.end(), offsets.begin(), std::int64_t{0});
  TopLogits arguments{};
  arguments.rows = rows_of(logits);
  arguments.counts = on_device(ctx, Indices(counts));
  arguments.offsets =
      static_cast<const std::int64_t*>(on_device(ctx, offsets.data(), offsets.size() * sizeof(std::int64_t)));
  const auto bytes = total * static_cast<std::int64_t>(sizeof(IdLogit));
  arguments.tops = static_cast<IdLogit*>(ctx.workspace->take(DType::u8, {bytes}).data);
  CUDA_CHECK(launch_top_logits(arguments, stream_of(ctx)));
  return arguments.tops;
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
