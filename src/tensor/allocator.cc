#include "tensor/allocator.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>

#include "base/error.h"

namespace lmdeploy {
namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::size_t kHugePageBytes = std::size_t{2} << 20;

std::size_t round_up(std::size_t bytes, std::size_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

class HostAllocator final : public Allocator {
 public:
  Allocation allocate(std::size_t bytes) override {
    void* data = bytes >= kHugePageBytes ? map(bytes)
                                         : std::aligned_alloc(kAlignment, round_up(bytes + 1, kAlignment));
    if (data == nullptr)
      throw Error(fmt::format("cannot allocate {} bytes of host memory", bytes),
                  "Free memory, or lower --cache-max-entry-count or --session-len.");
    return {this, data, bytes};
  }

 private:
  static void* map(std::size_t bytes) {
    void* data =
        ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (data == MAP_FAILED) return nullptr;
    ::madvise(data, bytes, MADV_HUGEPAGE);
    return data;
  }

  void deallocate(void* data, std::size_t bytes) noexcept override {
    if (bytes >= kHugePageBytes)
      ::munmap(data, bytes);
    else
      std::free(data);
  }
};

}  // namespace

Allocation::~Allocation() {
  if (data_ != nullptr) owner_->deallocate(data_, bytes_);
}

bool make_resident(void* data, std::size_t bytes) noexcept {
  const auto page_bytes = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const std::size_t into_page = reinterpret_cast<std::uintptr_t>(data) % page_bytes;
  char* const begin = static_cast<char*>(data) - into_page;
  return ::madvise(begin, round_up(into_page + bytes, page_bytes), MADV_POPULATE_WRITE) == 0;
}

Allocator& host_allocator() {
  static HostAllocator allocator;
  return allocator;
}

}  // namespace lmdeploy
