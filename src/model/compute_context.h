#pragma once
#include <cstddef>
#include <memory>

#include "tensor/ctx.h"
#include "tensor/cuda/device.h"
#include "tensor/graph_cache.h"

namespace lmdeploy {

// Where a thread computes: a Ctx with all that it borrows. Here, below everything that runs a model and above
// the ops, and nowhere else it is decided what a device is made of and whether this build has it.
class ComputeContext {
 public:
  // num_threads: of the CPU, 0 for all usable ones; on a card they only prepare weights. workspace_bytes:
  // taken at once, more comes as it is needed. eager: a card's steps are launched op by op, none is kept as a
  // graph. Throws Error where the device cannot be used.
  explicit ComputeContext(Device device, int num_threads = 0, std::size_t workspace_bytes = 0,
                          bool eager = false);
  ComputeContext(const ComputeContext&) = delete;
  ComputeContext& operator=(const ComputeContext&) = delete;

  Ctx& ctx() noexcept { return ctx_; }

  // Waits for what was computed. False where a card has met an error from which CUDA does not recover: all
  // that this process asks of it fails from then on.
  bool works() const noexcept;

 private:
  ThreadPool pool_;
  std::shared_ptr<void> stream_;  // cuda::Stream; before what its kernels use
  std::shared_ptr<cuda::UploadRing> uploads_;
  std::unique_ptr<GraphCache> graphs_;  // null: eager, or not on a card
  Workspace workspace_;
  Ctx ctx_;
};

// The cards and what is missing to use them; of a build without CUDA, that.
cuda::Availability find_cards();

// Throws Error, with the reason and the remedy, where the device cannot be used.
void require_device(Device device);

}  // namespace lmdeploy
