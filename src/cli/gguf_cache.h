#pragma once
#include <filesystem>

namespace lmdeploy::cli {

// The Hugging Face folder made from a GGUF file: from the cache, or converted now with progress on stderr.
// The folder's name carries the file's name, size, time and identity, so that a changed file is converted
// anew. Throws Error.
std::filesystem::path converted_gguf(const std::filesystem::path& gguf);

}  // namespace lmdeploy::cli
