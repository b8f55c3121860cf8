#include "cli/text_tokens.h"

#include "base/mapped_file.h"

namespace lmdeploy::cli {

std::vector<TokenId> tokenize_file(const std::filesystem::path& folder, const std::string& text_file) {
  const MappedFile file(text_file);
  return Tokenizer::load(folder)->encode(file.text(), false);
}

}  // namespace lmdeploy::cli
