#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "tensor/allocator.h"

namespace lmdeploy::cuda {

// One card, as the driver tells it.
struct DeviceProperties {
  int index = 0;
  std::string name;  // "NVIDIA H200"
  int compute_major = 0, compute_minor = 0;
  int num_multiprocessors = 0;
  std::size_t total_bytes = 0;
  std::size_t free_bytes = 0;     // of the current card; of others 0: to ask would start a context there
  std::size_t context_bytes = 0;  // of this process there, its kernels not included; 0: not known
  std::size_t l2_bytes = 0;
};

// What of CUDA is there. Never throws: a machine without a driver or a card is told in `reason`.
struct Availability {
  std::vector<DeviceProperties> devices;
  int driver_version = 0;   // 12080: 12.8; 0: no driver
  int runtime_version = 0;  // what this program was built with
  std::string reason;       // why nothing can be computed there, with the remedy; empty: it can
};
Availability availability();

// Memory of the card that is current in the calling thread. Pieces are as cudaMalloc gives them, 256-byte
// aligned; where there is none, the Error says how much was asked for and how much is free.
Allocator& device_allocator();
// Page-locked host memory, which copies run beside kernels from.
Allocator& pinned_allocator();

// Copies on a stream (cudaStream_t). to_host waits until the bytes are there; to_device returns when `from`
// may be changed.
void copy_to_device(void* to, const void* from, std::size_t bytes, void* stream);
void copy_to_host(void* to, const void* from, std::size_t bytes, void* stream);

// A stream of its own (cudaStreamNonBlocking), waited for before it goes.
class Stream {
 public:
  Stream();
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  void* get() const noexcept { return stream_; }  // cudaStream_t
  // Ctx::tickets of whoever computes on this stream.
  std::uint32_t* tickets() const noexcept { return static_cast<std::uint32_t*>(tickets_.data()); }
  void wait() const;  // throws what a kernel has died of

 private:
  void* stream_ = nullptr;
  Allocation tickets_;
};

// A point in a stream's work. wait() spins, as a step's tokens are worth more than a core.
class Event {
 public:
  Event();
  ~Event();
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  void record(void* stream /* cudaStream_t */);
  void wait() const;                            // throws what a kernel has died of
  void wait_quietly() const noexcept;           // for destructors
  double ms_since(const Event& earlier) const;  // both in the past

 private:
  void* event_ = nullptr;  // cudaEvent_t
};

}  // namespace lmdeploy::cuda
