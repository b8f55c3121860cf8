#include "ops/cuda/sample.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <vector>

#include "ops/cuda/cuda_ops.h"
#include "ops/cuda/launch.h"
#include "ops/uniform.h"
#include "tensor/cuda/device.h"

namespace lmdeploy::ops::cuda {
namespace {

// Rows as the device reads them, the ids that all of them adjust, and their masks.
class FlatRows {
 public:
  explicit FlatRows(std::span<const SamplingRow> rows) {
    rows_.reserve(rows.size());
    for (const SamplingRow& row : rows) add(row);
  }

  DeviceSamplingRows upload(Ctx& ctx) const {
    const std::size_t row_bytes = rows_.size() * sizeof(DeviceSamplingRow),
                      adjusted_bytes = adjusted_.size() * sizeof(AdjustedId),
                      mask_bytes = masks_.size() * sizeof(std::uint32_t);
    std::vector<std::byte> all(row_bytes + adjusted_bytes + mask_bytes);
    if (row_bytes > 0) std::memcpy(all.data(), rows_.data(), row_bytes);
    if (adjusted_bytes > 0) std::memcpy(all.data() + row_bytes, adjusted_.data(), adjusted_bytes);
    if (mask_bytes > 0) std::memcpy(all.data() + row_bytes + adjusted_bytes, masks_.data(), mask_bytes);
    const auto* copy = static_cast<const std::byte*>(on_device(ctx, all.data(), all.size()));
    return {reinterpret_cast<const DeviceSamplingRow*>(copy),
            reinterpret_cast<const AdjustedId*>(copy + row_bytes),
            reinterpret_cast<const std::uint32_t*>(copy + row_bytes + adjusted_bytes), std::ssize(rows_),
            num_copies_};
  }

 private:
  void add(const SamplingRow& from) {
    DeviceSamplingRow& row = rows_.emplace_back();
    row.position = uniform(from.seed, from.draw);
    row.greedy = from.temperature <= 0 ? 1 : 0;
    row.scale = row.greedy != 0 ? 0 : std::min(1 / from.temperature, std::numeric_limits<float>::max());
    row.top_k = from.top_k;
    row.top_p = from.top_p;
    row.min_p = from.min_p;
    row.typical_p = from.typical_p;
    row.repetition_penalty = from.repetition_penalty;
    row.presence_penalty = from.presence_penalty;
    row.frequency_penalty = from.frequency_penalty;
    row.first_adjusted = num_adjusted();
    add_adjusted(from, row);
    row.first_word = from.allowed_mask.empty() ? -1 : static_cast<std::int32_t>(masks_.size());
    masks_.insert(masks_.end(), from.allowed_mask.begin(), from.allowed_mask.end());
    const bool changes = num_adjusted() > row.first_adjusted || row.first_word >= 0;
    row.copy_idx = changes ? num_copies_++ : -1;
  }

  void add_adjusted(const SamplingRow& from, DeviceSamplingRow& row) {
    const bool penalizes_answer = from.presence_penalty != 0 || from.frequency_penalty != 0;
    for (const IdBias& bias : from.logit_bias) adjusted_.push_back({bias.id, bias.bias});
    row.num_adjusted[kBias] = static_cast<std::int32_t>(from.logit_bias.size());
    if (from.repetition_penalty != 1)
      for (const std::int32_t id : from.penalized_ids) adjusted_.push_back({id, 0});
    row.num_adjusted[kRepetition] =
        from.repetition_penalty != 1 ? static_cast<std::int32_t>(from.penalized_ids.size()) : 0;
    if (penalizes_answer)
      for (const IdCount& count : from.answer_counts)
        adjusted_.push_back({count.id, static_cast<float>(count.count)});
    row.num_adjusted[kAnswer] = penalizes_answer ? static_cast<std::int32_t>(from.answer_counts.size()) : 0;
    for (const std::int32_t id : from.banned_ids) adjusted_.push_back({id, 0});
    row.num_adjusted[kBan] = static_cast<std::int32_t>(from.banned_ids.size());
  }

  std::int32_t num_adjusted() const { return static_cast<std::int32_t>(adjusted_.size()); }

  std::vector<DeviceSamplingRow> rows_;
  std::vector<AdjustedId> adjusted_;
  std::vector<std::uint32_t> masks_;
  std::int32_t num_copies_ = 0;
};

}  // namespace

DeviceSamplingRows upload_rows(Ctx& ctx, std::span<const SamplingRow> rows) {
  return FlatRows(rows).upload(ctx);
}

void sample_on_device(Ctx& ctx, const View& logits, const DeviceSamplingRows& rows, std::int32_t* tokens) {
  constexpr std::int64_t kMaxVocabulary = std::int64_t{1} << kIdBits;
  const std::int64_t v = logits.dim(1);
  CHECK(v <= kMaxVocabulary, "sample: a vocabulary of {}, {} at most on this device", v, kMaxVocabulary);
  const Workspace::Scope scope(*ctx.workspace);
  SampleArguments arguments{};
  arguments.logits = logits.as<float>();
  arguments.row_stride = logits.row_stride;
  arguments.num_rows = rows.num_rows;
  arguments.v = static_cast<std::int32_t>(v);
  arguments.rows = rows.rows;
  arguments.adjusted = rows.adjusted;
  arguments.masks = rows.masks;
  if (rows.num_copies > 0)
    arguments.copies = ctx.workspace->take(DType::f32, {rows.num_copies, v}).as<float>();
  arguments.tokens = tokens;
  CUDA_CHECK(launch_sample(arguments, stream_of(ctx)));
}

void sample(Ctx& ctx, const View& logits, std::span<const SamplingRow> rows, std::span<std::int32_t> tokens) {
  if (rows.empty()) return;
  const Workspace::Scope scope(*ctx.workspace);
  const auto on_device_tokens = ctx.workspace->take(DType::i32, {std::ssize(tokens)}).as<std::int32_t>();
  sample_on_device(ctx, logits, upload_rows(ctx, rows), on_device_tokens);
  lmdeploy::cuda::copy_to_host(tokens.data(), on_device_tokens, tokens.size_bytes(), ctx.stream);
}

}  // namespace lmdeploy::ops::cuda
