#pragma once
#include <optional>

#include "tensor/ctx.h"

namespace lmdeploy {

// The two places where a model is quantised: what touches all calibration tokens is computed where models
// run, what touches weights alone in host memory, by the same threads. On the CPU both are one.
class Contexts {
 public:
  explicit Contexts(Ctx& compute);
  Contexts(const Contexts&) = delete;
  Contexts& operator=(const Contexts&) = delete;

  Ctx& compute() noexcept { return compute_; }
  Ctx& host() noexcept { return own_host_ ? *own_host_ : compute_; }

 private:
  Ctx& compute_;
  std::optional<Workspace> workspace_;  // of own_host_
  std::optional<Ctx> own_host_;         // beside a card
};

// Host memory as ctx's kernels read it, and memory of ctx's device as the host reads it: on the CPU the very
// same, beside a card a copy, in ctx's workspace and in host memory.
View on_device(Ctx& ctx, const View& host);
class OnHost {
 public:
  OnHost(Ctx& ctx, const View& device);
  OnHost(Ctx& ctx, Tensor&& device);  // on the CPU kept, not only looked at
  const View& view() const noexcept { return view_; }

 private:
  Tensor copy_;
  View view_;
};

// A tensor of zeros in memory of ctx's device.
Tensor make_zeros(Ctx& ctx, DType dtype, const Shape& shape);

}  // namespace lmdeploy
