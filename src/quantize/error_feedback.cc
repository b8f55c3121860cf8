#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "quantize/cholesky.h"
#include "quantize/gptq.h"

namespace lmdeploy {
namespace {

double mean_diagonal(const View& hessian) {
  double sum = 0;
  for (std::int64_t i = 0; i < hessian.dim(0); i++) sum += static_cast<double>(hessian.row<float>(i)[i]);
  if (!std::isfinite(sum))
    throw Error("the calibration inputs of a layer are not finite",
                "The model overflows on the calibration text: use --dtype bfloat16, or another text.");
  return sum / static_cast<double>(hessian.dim(0));
}

// The last place is rounded first.
std::vector<std::int64_t> order_inputs(const View& hessian, bool act_order) {
  std::vector<std::int64_t> inputs(static_cast<std::size_t>(hessian.dim(0)));
  std::iota(inputs.rbegin(), inputs.rend(), 0);
  if (act_order)
    std::stable_sort(inputs.begin(), inputs.end(), [&](std::int64_t a, std::int64_t b) {
      return hessian.row<float>(a)[a] < hessian.row<float>(b)[b];
    });
  return inputs;
}

void permute(Ctx& ctx, const View& hessian, const std::vector<std::int64_t>& inputs, const View& target) {
  ctx.pool->parallel_for(target.dim(0), [&](std::int64_t place, int) {
    const float* from = hessian.row<float>(inputs[static_cast<std::size_t>(place)]);
    float* to = target.row<float>(place);
    for (const std::int64_t input : inputs) *to++ = from[input];
  });
}

}  // namespace

// With H = U^T U an error e costs e H e^T = |e U^T|^2, and place a of e U^T is U_aa (e_a + sum over b > a of
// e_b U_ab / U_aa): the ratios are what place a has to make up for.
ErrorFeedback make_error_feedback(Ctx& ctx, const View& hessian, const FeedbackOptions& options) {
  const std::int64_t k = hessian.dim(0);
  CHECK(hessian.dim(1) == k && options.damping > 0, "Hessian {}, damping {}", hessian.shape.to_string(),
        options.damping);
  const double mean = mean_diagonal(hessian);
  ErrorFeedback result{order_inputs(hessian, options.act_order), Tensor(*ctx.allocator, DType::f32, {k, k})};
  const View& gains = result.gains.view();
  // More damping where f32 does not carry the factor; at 1 it does for every positive semidefinite matrix.
  bool factored = false;
  for (double damping = options.damping; !factored; damping *= 10) {
    CHECK(damping <= 100, "no factor of a Hessian with a mean diagonal of {}", mean);
    permute(ctx, hessian, result.inputs, gains);
    for (std::int64_t i = 0; i < k; i++)
      gains.row<float>(i)[i] += static_cast<float>(mean > 0 ? damping * mean : 1);
    factored = factor_cholesky(ctx, gains);
  }
  ctx.pool->parallel_for(k, [&](std::int64_t place, int) {
    float* row = gains.row<float>(place);
    for (std::int64_t b = place + 1; b < k; b++) row[b] /= row[place];
  });
  return result;
}

}  // namespace lmdeploy
