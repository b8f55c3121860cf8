#pragma once
#include <cstdint>
#include <optional>

namespace lmdeploy::cuda {

// Bytes that are in use on the card of this index (CUDA's), by whomever, as nvidia-smi shows them. Asked of
// NVML, which starts no context there; empty where it is missing or does not tell.
std::optional<std::int64_t> used_bytes(int device);

}  // namespace lmdeploy::cuda
