#include "tensor/cuda/upload_ring.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstring>

#include "tensor/cuda/cuda_error.h"

namespace lmdeploy::cuda {
namespace {

constexpr std::size_t kAlignment = 64;

bool is_recording(cudaStream_t stream) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  CUDA_CHECK(cudaStreamIsCapturing(stream, &status));
  return status != cudaStreamCaptureStatusNone;
}

}  // namespace

UploadRing::UploadRing(void* stream)
    : stream_(stream), memory_(pinned_allocator().allocate(kNumParts * kPartBytes)) {}

UploadRing::~UploadRing() {
  static_cast<void>(cudaStreamSynchronize(static_cast<cudaStream_t>(stream_)));
}

void UploadRing::copy_to_device(void* to, const void* from, std::size_t bytes) {
  if (bytes == 0) return;
  const auto stream = static_cast<cudaStream_t>(stream_);
  CHECK(!is_recording(stream), "an upload of {} bytes while a graph is recorded", bytes);
  for (std::size_t first = 0; first < bytes; first += kPartBytes)
    copy_piece(static_cast<char*>(to) + first, static_cast<const char*>(from) + first,
               std::min(kPartBytes, bytes - first));
}

void UploadRing::copy_piece(void* to, const void* from, std::size_t bytes) {
  if (used_bytes_ + bytes > kPartBytes) enter_next_part();
  char* staged = static_cast<char*>(memory_.data()) + current_ * kPartBytes + used_bytes_;
  std::memcpy(staged, from, bytes);
  CUDA_CHECK(cudaMemcpyAsync(to, staged, bytes, cudaMemcpyHostToDevice, static_cast<cudaStream_t>(stream_)));
  used_bytes_ += (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

void UploadRing::enter_next_part() {
  parts_[current_].copied.record(stream_);
  parts_[current_].is_on_its_way = true;
  current_ = (current_ + 1) % kNumParts;
  used_bytes_ = 0;
  Part& next = parts_[current_];
  if (next.is_on_its_way) next.copied.wait();
  next.is_on_its_way = false;
}

}  // namespace lmdeploy::cuda
