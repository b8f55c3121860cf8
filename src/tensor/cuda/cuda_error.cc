#include "tensor/cuda/cuda_error.h"

namespace lmdeploy::cuda {

void check(cudaError_t status, const char* call, const char* file, int line) {
  if (status == cudaSuccess) return;
  static_cast<void>(cudaGetLastError());  // or the next launch would report it again
  throw Error(fmt::format("CUDA: {} ({}) at {}:{}: {}", cudaGetErrorString(status), cudaGetErrorName(status),
                          file, line, call));
}

}  // namespace lmdeploy::cuda
