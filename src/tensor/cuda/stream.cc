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

}  // namespace lmdeploy::cuda
