#pragma once
#include <array>
#include <cstddef>

#include "tensor/cuda/device.h"

namespace lmdeploy::cuda {

// Page-locked memory on the way of a step's integers to the card. A copy out of it runs when the stream comes
// to it, while one out of ordinary memory may have to wait for the stream first: the step before.
class UploadRing {
 public:
  explicit UploadRing(void* stream /* cudaStream_t */);
  ~UploadRing();  // waits for what is on its way
  UploadRing(const UploadRing&) = delete;
  UploadRing& operator=(const UploadRing&) = delete;

  // Returns when `from` may be changed: at once, unless all of the ring is on its way. Not while a graph is
  // recorded, which would read the ring again whenever it runs.
  void copy_to_device(void* to, const void* from, std::size_t bytes);

  static constexpr std::size_t kPartBytes = std::size_t{2} << 20;

 private:
  // Filled from its beginning; then the next one is, once it has been copied.
  struct Part {
    Event copied;
    bool is_on_its_way = false;
  };
  void copy_piece(void* to, const void* from, std::size_t bytes);  // up to kPartBytes
  void enter_next_part();

  static constexpr std::size_t kNumParts = 4;

  void* stream_;
  Allocation memory_;  // [kNumParts, kPartBytes]
  std::array<Part, kNumParts> parts_;
  std::size_t current_ = 0;
  std::size_t used_bytes_ = 0;  // of the current part
};

}  // namespace lmdeploy::cuda
