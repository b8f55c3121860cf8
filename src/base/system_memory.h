#pragma once
#include <cstdint>

namespace lmdeploy {

// Bytes that this process may still take: min(MemAvailable, cgroup limit - use).
std::uint64_t available_memory_bytes();

// Resident set size of this process, bytes (VmRSS).
std::uint64_t resident_memory_bytes();

}  // namespace lmdeploy
