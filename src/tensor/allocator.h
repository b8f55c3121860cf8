#pragma once
#include <cstddef>
#include <utility>

namespace lmdeploy {

class Allocator;

// A piece of memory that goes back to its allocator. Move-only.
class Allocation {
 public:
  Allocation() = default;
  Allocation(Allocator* owner, void* data, std::size_t bytes) : owner_(owner), data_(data), bytes_(bytes) {}
  ~Allocation();
  Allocation(Allocation&& other) noexcept
      : owner_(other.owner_),
        data_(std::exchange(other.data_, nullptr)),
        bytes_(std::exchange(other.bytes_, 0)) {}
  Allocation& operator=(Allocation&& other) noexcept {
    std::swap(owner_, other.owner_);
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  Allocation(const Allocation&) = delete;
  Allocation& operator=(const Allocation&) = delete;

  void* data() const noexcept { return data_; }
  std::size_t bytes() const noexcept { return bytes_; }

 private:
  Allocator* owner_ = nullptr;
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
};

// Memory of one device. An allocator outlives what it handed out.
class Allocator {
 public:
  virtual ~Allocator() = default;
  virtual Allocation allocate(
      std::size_t bytes) = 0;  // uninitialised, 64-byte aligned; throws Error when there is none

 private:
  friend class Allocation;
  virtual void deallocate(void* data, std::size_t bytes) noexcept = 0;
};

// Host memory. Pieces of 2 MiB and more come straight from the system with huge pages asked for: address
// space only, a page becomes resident on first use and reads as zero before.
Allocator& host_allocator();

// Makes the pages of some host memory resident, their contents as they are, so that nobody waits for the
// system at their first use. False where the system does not do that (Linux before 5.14).
bool make_resident(void* data, std::size_t bytes) noexcept;

}  // namespace lmdeploy
