#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "text/tokenizer.h"

namespace lmdeploy::cli {

// The ids of a text file by the tokenizer of a model folder: its bytes as they are, at once, without special
// tokens. Throws Error.
std::vector<TokenId> tokenize_file(const std::filesystem::path& folder, const std::string& text_file);

}  // namespace lmdeploy::cli
