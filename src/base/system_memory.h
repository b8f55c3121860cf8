#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace lmdeploy {

// Bytes that this process may still take: min(MemAvailable, what its cgroups leave).
std::uint64_t available_memory_bytes();

// Resident set size of this process, bytes (VmRSS).
std::uint64_t resident_memory_bytes();

// What the memory cgroups (v2 or v1) of a process leave: the least, over its group and the groups above, of
// limit - (use - page cache that can be dropped). `memberships` is the text of /proc/self/cgroup, `mount` the
// folder in which the cgroup file systems lie. Empty where no limit is set.
std::optional<std::uint64_t> cgroup_available_bytes(const std::filesystem::path& mount,
                                                    const std::string& memberships);

}  // namespace lmdeploy
