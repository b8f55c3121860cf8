#pragma once
#include <concepts>
#include <cstdint>
#include <span>

#include "tensor/ctx.h"

namespace lmdeploy::ops {

// Integers that say which rows, tokens or blocks an op touches. Its checks read them on the host; kernels of
// another device read the copy there, which upload() makes once for the many ops of a step. Where there is no
// copy the op makes one for itself. What only the device knows is checked by nobody. Borrowed: both live as
// long as the op runs.
struct Indices {
  std::span<const std::int32_t> host;
  const std::int32_t* device = nullptr;
  std::size_t num_on_device = 0;  // where the host does not know them

  Indices() = default;
  template <class Range>
    requires std::convertible_to<const Range&, std::span<const std::int32_t>>
  Indices(const Range& range) : host(range) {}  // NOLINT: whoever has integers has indices

  static Indices on_device(const std::int32_t* device, std::size_t count) {
    Indices result;
    result.device = device;
    result.num_on_device = count;
    return result;
  }

  std::size_t size() const noexcept { return host.empty() ? num_on_device : host.size(); }
  std::int32_t operator[](std::size_t i) const { return host[i]; }
};

// Copies all of them to the device in one transfer, into the step's workspace. On the CPU there is nothing to
// do.
void upload(Ctx& ctx, std::span<Indices* const> indices);

}  // namespace lmdeploy::ops
