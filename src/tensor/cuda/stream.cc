#include "tensor/ctx.h"
#include "tensor/cuda/cuda_error.h"
#include "tensor/cuda/device.h"

namespace lmdeploy::cuda {

namespace {

constexpr std::size_t kTicketBytes = kNumTickets * sizeof(std::uint32_t);

}  // namespace

Stream::Stream() : tickets_(device_allocator().allocate(kTicketBytes)) {
  cudaStream_t stream = nullptr;
  CUDA_CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  stream_ = stream;
  CUDA_CHECK(cudaMemsetAsync(tickets_.data(), 0, kTicketBytes, stream));
}

Stream::~Stream() {
  const auto stream = static_cast<cudaStream_t>(stream_);
  static_cast<void>(cudaStreamSynchronize(stream));  // what a kernel has died of is told by wait()
  static_cast<void>(cudaStreamDestroy(stream));
}

void Stream::wait() const {
  CUDA_CHECK(cudaStreamSynchronize(static_cast<cudaStream_t>(stream_)));
}

Event::Event() {
  cudaEvent_t event = nullptr;
  CUDA_CHECK(cudaEventCreate(&event));
  event_ = event;
}

Event::~Event() {
  static_cast<void>(cudaEventDestroy(static_cast<cudaEvent_t>(event_)));
}

void Event::record(void* stream) {
  CUDA_CHECK(cudaEventRecord(static_cast<cudaEvent_t>(event_), static_cast<cudaStream_t>(stream)));
}

void Event::wait() const {
  CUDA_CHECK(cudaEventSynchronize(static_cast<cudaEvent_t>(event_)));
}

void Event::wait_quietly() const noexcept {
  static_cast<void>(cudaEventSynchronize(static_cast<cudaEvent_t>(event_)));
}

double Event::ms_since(const Event& earlier) const {
  float ms = 0;
  CUDA_CHECK(
      cudaEventElapsedTime(&ms, static_cast<cudaEvent_t>(earlier.event_), static_cast<cudaEvent_t>(event_)));
  return static_cast<double>(ms);
}

}  // namespace lmdeploy::cuda
