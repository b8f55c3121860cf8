#include "model/compute_context.h"

#include "base/error.h"
#include "base/log.h"
#include "tensor/cuda/graph_cache.h"
#include "tensor/cuda/upload_ring.h"

namespace lmdeploy {
namespace {

// All that depends on the build. Types of tensor/cuda are named below this line only: a build without CUDA
// does not link them.
#ifdef LMDEPLOY_CUDA

std::shared_ptr<void> make_stream(Device device) {
  return device == Device::cuda ? std::make_shared<cuda::Stream>() : nullptr;
}

void* stream_handle(void* stream) {
  return stream == nullptr ? nullptr : static_cast<cuda::Stream*>(stream)->get();
}

std::uint32_t* tickets_of(void* stream) {
  return stream == nullptr ? nullptr : static_cast<cuda::Stream*>(stream)->tickets();
}

std::unique_ptr<GraphCache> make_graphs(void* stream) {
  return stream == nullptr ? nullptr : std::make_unique<cuda::GraphCache>(stream);
}

std::shared_ptr<cuda::UploadRing> make_uploads(void* stream) {
  return stream == nullptr ? nullptr : std::make_shared<cuda::UploadRing>(stream);
}

void wait_for(void* stream) {
  if (stream != nullptr) static_cast<cuda::Stream*>(stream)->wait();
}

Allocator& allocator_of(Device device) {
  return device == Device::cuda ? cuda::device_allocator() : host_allocator();
}

cuda::Availability availability() {
  return cuda::availability();
}

#else

std::shared_ptr<void> make_stream(Device) {
  return nullptr;
}

void* stream_handle(void*) {
  return nullptr;
}

std::uint32_t* tickets_of(void*) {
  return nullptr;
}

std::unique_ptr<GraphCache> make_graphs(void*) {
  return nullptr;
}

std::shared_ptr<cuda::UploadRing> make_uploads(void*) {
  return nullptr;
}

void wait_for(void*) {}

Allocator& allocator_of(Device) {
  return host_allocator();
}

cuda::Availability availability() {
  cuda::Availability none;
  none.reason = "this program was built for the CPU alone; `make cuda` builds one for NVIDIA cards";
  return none;
}

#endif

Device usable(Device device) {
  require_device(device);
  return device;
}

}  // namespace

cuda::Availability find_cards() {
  return availability();
}

void require_device(Device device) {
  if (device == Device::cpu) return;
  const std::string reason = find_cards().reason;
  if (!reason.empty())
    throw Error(fmt::format("no NVIDIA card can be used: {}", reason), "Use --device cpu without one.");
}

ComputeContext::ComputeContext(Device device, int num_threads, std::size_t workspace_bytes, bool eager)
    : pool_(num_threads),
      stream_(make_stream(usable(device))),
      uploads_(make_uploads(stream_handle(stream_.get()))),
      graphs_(eager ? nullptr : make_graphs(stream_handle(stream_.get()))),
      workspace_(allocator_of(device), workspace_bytes) {
  ctx_.device = device;
  ctx_.pool = &pool_;
  ctx_.stream = stream_handle(stream_.get());
  ctx_.allocator = &allocator_of(device);
  ctx_.workspace = &workspace_;
  ctx_.graphs = graphs_.get();
  ctx_.uploads = uploads_.get();
  ctx_.tickets = tickets_of(stream_.get());
}

bool ComputeContext::works() const noexcept {
  try {
    wait_for(stream_.get());
    return true;
  } catch (const std::exception& e) {
    log::error("the card no longer works: {}", e.what());
    return false;
  }
}

}  // namespace lmdeploy
