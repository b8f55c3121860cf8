#include "cli/text_tokens.h"

#include "base/mapped_file.h"

namespace lmdeploy::cli {

std::vector<TokenId> tokenize_file(const std::filesystem::path& folder, const std::string& text_file) {
  const MappedFile file(text_file);
  const auto bytes = file.bytes();
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return Tokenizer::load(folder)->encode(text, false);
}

}  // namespace lmdeploy::cli
