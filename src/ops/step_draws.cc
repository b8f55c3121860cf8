#include "ops/step_draws.h"

#include <algorithm>
#include <chrono>

#include "ops/cuda/step_draws.h"
#include "ops/dispatch.h"

namespace lmdeploy::ops {
namespace {

// Where ops compute before they return, or only plan.
class HostDraws final : public StepDraws {
 public:
  void begin(Ctx&) override { begin_ = Clock::now(); }

  void put(Ctx& ctx, const View& logits, std::span<const RowDraw> rows, const View& tokens) override {
    const Clock::time_point begin = Clock::now();
    drawn_.assign(rows.size(), {});
    std::vector<SamplingRow> sampling;
    for (const RowDraw& row : rows) sampling.push_back(row.row);
    const std::span<std::int32_t> ids(tokens.as<std::int32_t>(), rows.size());
    std::fill(ids.begin(), ids.end(), -1);
    if (!rows.empty()) sample(ctx, logits, sampling, ids);
    for (std::size_t i = 0; i < rows.size(); i++) drawn_[i].id = ids[i];
    add_logprobs(ctx, logits, rows);
    const Clock::time_point end = Clock::now();
    step_ms_ = std::chrono::duration<double, std::milli>(end - begin_).count();
    draw_ms_ = std::chrono::duration<double, std::milli>(end - begin).count();
  }

  void wait() override {}

 private:
  using Clock = std::chrono::steady_clock;

  void add_logprobs(Ctx& ctx, const View& logits, std::span<const RowDraw> rows) {
    std::vector<std::int32_t> targets, counts;
    for (std::size_t i = 0; i < rows.size(); i++) {
      const bool is_wanted = rows[i].logprob && drawn_[i].id >= 0;
      targets.push_back(is_wanted ? drawn_[i].id : -1);
      counts.push_back(is_wanted ? rows[i].num_top : 0);
    }
    const auto any = [](const std::vector<std::int32_t>& values, std::int32_t least) {
      return std::any_of(values.begin(), values.end(), [=](std::int32_t value) { return value >= least; });
    };
    if (!any(targets, 0)) return;
    std::vector<float> logprobs(rows.size());
    token_logprobs(ctx, logits, targets, logprobs);
    std::vector<std::vector<IdLogprob>> tops(rows.size());
    if (any(counts, 1)) top_logprobs(ctx, logits, counts, tops);
    for (std::size_t i = 0; i < rows.size(); i++) {
      drawn_[i].logprob = logprobs[i];
      drawn_[i].top = std::move(tops[i]);
    }
  }

  Clock::time_point begin_;
};

}  // namespace

std::unique_ptr<StepDraws> StepDraws::make(const Ctx& ctx) {
  check_device(ctx, "StepDraws");
  if constexpr (kHasCuda)
    if (ctx.device == Device::cuda && !only_plans(ctx)) return cuda::make_step_draws();
  return std::make_unique<HostDraws>();
}

}  // namespace lmdeploy::ops
