#include "ops/cuda/step_draws.h"

#include <algorithm>

#include "ops/cuda/launch.h"
#include "ops/cuda/logprobs.h"
#include "ops/cuda/sample.h"
#include "tensor/cuda/device.h"

namespace lmdeploy::ops::cuda {
namespace {

using lmdeploy::cuda::Event;

// Results go to page-locked memory, by copies that nobody waits for but the event behind them.
class CardDraws final : public StepDraws {
 public:
  ~CardDraws() override {
    if (is_in_flight_) end_.wait_quietly();  // copies still write to results_
  }

  void begin(Ctx& ctx) override { begin_.record(ctx.stream); }

  void put(Ctx& ctx, const View& logits, std::span<const RowDraw> rows, const View& tokens) override {
    draw_.record(ctx.stream);
    drawn_.assign(rows.size(), {});
    if (!rows.empty()) put_rows(ctx, logits, rows, tokens);
    end_.record(ctx.stream);
    is_in_flight_ = true;
  }

  void wait() override {
    end_.wait();
    is_in_flight_ = false;
    step_ms_ = end_.ms_since(begin_);
    draw_ms_ = end_.ms_since(draw_);
    if (drawn_.empty()) return;
    IdLogit* tops = host_tops();
    for (std::size_t i = 0; i < drawn_.size(); i++) {
      DrawnToken& drawn = drawn_[i];
      const auto count = static_cast<std::size_t>(counts_[i]);
      drawn.id = host_ids()[i];
      if (drawn.id >= 0 && wants_logprob_[i]) {
        drawn.logprob = logprob(host_sums()[i].logit, host_sums()[i].log_sum);
        drawn.top = most_likely_first({tops, count}, host_sums()[i].log_sum);
      }
      tops += count;
    }
  }

 private:
  void put_rows(Ctx& ctx, const View& logits, std::span<const RowDraw> rows, const View& tokens) {
    const Workspace::Scope scope(*ctx.workspace);
    read(rows, logits.dim(1));
    auto* ids = tokens.as<std::int32_t>();
    sample_on_device(ctx, logits, upload_rows(ctx, sampling_), ids);
    const RowSum* sums = any_logprob_ ? put_row_sums(ctx, logits, ids) : nullptr;
    const IdLogit* tops = any_logprob_ ? put_top_logits(ctx, logits, counts_) : nullptr;
    reserve();
    copy_back(ctx, host_sums(), sums, sums == nullptr ? 0 : rows.size() * sizeof(RowSum));
    copy_back(ctx, host_tops(), tops, num_tops_ * sizeof(IdLogit));
    copy_back(ctx, host_ids(), ids, rows.size() * sizeof(std::int32_t));
  }

  void read(std::span<const RowDraw> rows, std::int64_t v) {
    sampling_.clear();
    wants_logprob_.clear();
    counts_.clear();
    num_tops_ = 0;
    for (const RowDraw& row : rows) {
      sampling_.push_back(row.row);
      wants_logprob_.push_back(row.logprob);
      counts_.push_back(row.logprob ? static_cast<std::int32_t>(std::min<std::int64_t>(row.num_top, v)) : 0);
      num_tops_ += static_cast<std::size_t>(counts_.back());
    }
    any_logprob_ = std::find(wants_logprob_.begin(), wants_logprob_.end(), true) != wants_logprob_.end();
  }

  // results_: the sums, which want the widest alignment, then the most likely ids, then the tokens.
  void reserve() {
    const std::size_t m = sampling_.size();
    tops_at_ = m * sizeof(RowSum);
    ids_at_ = tops_at_ + num_tops_ * sizeof(IdLogit);
    const std::size_t bytes = ids_at_ + m * sizeof(std::int32_t);
    if (bytes > results_.bytes())
      results_ = lmdeploy::cuda::pinned_allocator().allocate(std::max(2 * bytes, kMinBytes));
  }
  void* result_at(std::size_t offset) const { return static_cast<std::byte*>(results_.data()) + offset; }
  RowSum* host_sums() const { return static_cast<RowSum*>(result_at(0)); }
  IdLogit* host_tops() const { return static_cast<IdLogit*>(result_at(tops_at_)); }
  std::int32_t* host_ids() const { return static_cast<std::int32_t*>(result_at(ids_at_)); }

  static void copy_back(const Ctx& ctx, void* to, const void* from, std::size_t bytes) {
    if (bytes > 0) CUDA_CHECK(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream_of(ctx)));
  }

  static constexpr std::size_t kMinBytes = std::size_t{1} << 16;

  std::vector<SamplingRow> sampling_;  // of the rows
  std::vector<bool> wants_logprob_;
  std::vector<std::int32_t> counts_;  // most likely tokens
  std::size_t num_tops_ = 0;          // of all rows
  bool any_logprob_ = false;
  Allocation results_;
  std::size_t tops_at_ = 0, ids_at_ = 0;
  Event begin_, draw_, end_;
  bool is_in_flight_ = false;
};

}  // namespace

std::unique_ptr<StepDraws> make_step_draws() {
  return std::make_unique<CardDraws>();
}

}  // namespace lmdeploy::ops::cuda
