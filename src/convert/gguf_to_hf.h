#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>

namespace lmdeploy {

// Called after each tensor with the bytes of safetensors written so far and in all.
using ConvertProgress = std::function<void(std::int64_t done_bytes, std::int64_t total_bytes)>;

// Turns a GGUF file (architectures llama, qwen2, qwen3) into a Hugging Face folder: bf16 safetensors,
// config.json, generation_config.json, tokenizer.json, tokenizer_config.json with the chat template. Memory
// stays within a few rows of one tensor besides the mapped file; the same file always gives the same bytes.
//
// The folder appears under its name only when it is complete: it is written beside it under a temporary name,
// which is removed on any failure. Missing parent folders are made.
//
// Throws Error: not a GGUF file, damage, an architecture, tensor type or tokenizer that is not known, a
// folder that exists and is not empty, a full disk. `progress` may be empty.
void convert_gguf(const std::filesystem::path& gguf, const std::filesystem::path& folder,
                  const ConvertProgress& progress);

}  // namespace lmdeploy
