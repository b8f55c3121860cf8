#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "ops/ops.h"

namespace lmdeploy::ops {

// What the draw from one row of logits is to give.
struct RowDraw {
  SamplingRow row;
  bool logprob = false;      // the drawn token's; without it num_top counts for nothing
  std::int32_t num_top = 0;  // and those of the most likely ones
};

struct DrawnToken {
  std::int32_t id = -1;  // as ops::sample gives it
  float logprob = 0;
  std::vector<IdLogprob> top;  // as ops::top_logprobs gives them; none where no token was drawn
};

// The draws of one step, and its clock. put() leaves them to the device and returns; wait() returns when they
// are there. In between the host prepares the next step, whose draws go to another object. Used again from
// step to step: begin(), put(), wait().
class StepDraws {
 public:
  static std::unique_ptr<StepDraws> make(const Ctx& ctx);
  virtual ~StepDraws() = default;

  // The step's work comes from here on.
  virtual void begin(Ctx& ctx) = 0;

  // logits: [m, v] f32, the model's own: log probabilities are before all that shapes a draw. tokens: [m]
  // i32 in memory of the device, which gets the ids for later steps (resolve_ids). What `rows` point to is
  // read before this returns.
  virtual void put(Ctx& ctx, const View& logits, std::span<const RowDraw> rows, const View& tokens) = 0;

  // Throws what the step's work has died of.
  virtual void wait() = 0;

  // Behind wait().
  std::span<const DrawnToken> drawn() const noexcept { return drawn_; }  // [m]
  double step_ms() const noexcept { return step_ms_; }                   // of the device, since begin()
  double draw_ms() const noexcept { return draw_ms_; }                   // of these, since put()

 protected:
  std::vector<DrawnToken> drawn_;
  double step_ms_ = 0;
  double draw_ms_ = 0;
};

}  // namespace lmdeploy::ops
