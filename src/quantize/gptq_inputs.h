#pragma once
#include <optional>

#include "quantize/calibration_probe.h"
#include "quantize/gram.h"
#include "quantize/input_drift.h"

namespace lmdeploy {

// What GPTQ asks of the activations x that a group of linear layers reads behind all layers rounded so far.
struct GptqInputs {
  GptqInputs(Ctx& ctx, std::int64_t k, DType dtype, std::int64_t num_tokens)
      : probe(ctx, k, dtype, num_tokens), gram(std::in_place, ctx, k), drift(ctx, k) {}

  // [m, k] of dtype: some tokens as the 16-bit model has them, and as they are.
  void add(const View& exact, const View& x) {
    probe.see(x);
    gram->add(x);
    drift.add(exact, x);
  }

  InputProbe probe;
  std::optional<Gram> gram;  // dropped when its factor is there, which is as large
  InputDrift drift;
};

}  // namespace lmdeploy
