#include "tensor/cuda/cuda_error.h"
#include "tensor/cuda/device.h"

namespace lmdeploy::cuda {

Stream::Stream() {
  cudaStream_t stream = nullptr;
  CUDA_CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  stream_ = stream;
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
