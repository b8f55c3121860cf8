#pragma once
#include <cstdint>
#include <string>

namespace lmdeploy::cli {

// "4MiB", "16k", "500MB", "4096": KiB, MiB, GiB are powers of 1024, KB, MB, GB (and K, M, G) of 1000. Throws
// Error on anything else.
std::int64_t parse_bytes(const std::string& text);

// The same as vendors of memory mean it, who call 2^30 bytes a gigabyte: "24GB" and "24GiB" are one size.
std::int64_t parse_memory_size(const std::string& text);
// A check of CLI11: what is wrong with such a size, or nothing.
std::string memory_size_problem(const std::string& text);

}  // namespace lmdeploy::cli
