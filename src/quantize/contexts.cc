#include "quantize/contexts.h"

#include <cstring>
#include <utility>

#include "ops/ops.h"

namespace lmdeploy {

Contexts::Contexts(Ctx& compute) : compute_(compute) {
  if (compute.device == Device::cpu) return;
  workspace_.emplace(host_allocator());
  own_host_.emplace();
  own_host_->cpu_isa = compute.cpu_isa;
  own_host_->pool = compute.pool;
  own_host_->allocator = &host_allocator();
  own_host_->workspace = &*workspace_;
}

View on_device(Ctx& ctx, const View& host) {
  if (ctx.device == Device::cpu) return host;
  const View copy = ctx.workspace->take(host.dtype, host.shape);
  ops::copy_from_host(ctx, host, copy);
  return copy;
}

OnHost::OnHost(Ctx& ctx, const View& device) : view_(device) {
  if (ctx.device == Device::cpu) return;
  copy_ = Tensor(host_allocator(), device.dtype, device.shape);
  ops::copy_to_host(ctx, device, copy_);
  view_ = copy_;
}

OnHost::OnHost(Ctx& ctx, Tensor&& device) : OnHost(ctx, device.view()) {
  if (ctx.device == Device::cpu) copy_ = std::move(device);
}

Tensor make_zeros(Ctx& ctx, DType dtype, const Shape& shape) {
  Tensor result(*ctx.allocator, dtype, shape);
  Tensor zeros;
  if (ctx.device != Device::cpu) zeros = Tensor(host_allocator(), dtype, shape);
  const View& host = zeros.empty() ? result.view() : zeros.view();
  std::memset(host.data, 0, static_cast<std::size_t>(host.bytes()));
  if (!zeros.empty()) ops::copy_from_host(ctx, zeros, result);
  return result;
}

}  // namespace lmdeploy
