#include "ops/cuda/cuda_ops.h"
#include "ops/cuda/kl_divergence_kernel.h"
#include "ops/cuda/launch.h"
#include "tensor/cuda/device.h"

namespace lmdeploy::ops::cuda {

void kl_divergence(Ctx& ctx, const View& p, const View& q, std::span<double> kl) {
  if (kl.empty()) return;
  const Workspace::Scope scope(*ctx.workspace);
  const auto bytes = static_cast<std::int64_t>(kl.size_bytes());
  KlArguments arguments{};
  arguments.p = p.as<float>();
  arguments.p_stride = p.row_stride;
  arguments.q = q.as<float>();
  arguments.q_stride = q.row_stride;
  arguments.num_rows = p.dim(0);
  arguments.v = p.dim(1);
  arguments.kl = static_cast<double*>(ctx.workspace->take(DType::u8, {bytes}).data);
  CUDA_CHECK(launch_kl_divergence(arguments, stream_of(ctx)));
  lmdeploy::cuda::copy_to_host(kl.data(), arguments.kl, kl.size_bytes(), ctx.stream);
}

}  // namespace lmdeploy::ops::cuda
