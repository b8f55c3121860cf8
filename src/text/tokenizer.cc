#include "text/tokenizer.h"

#include "base/error.h"
#include "text/sentencepiece_tokenizer.h"
#include "text/tokenizer_config.h"
#include "text/tokenizer_json.h"

namespace lmdeploy {

namespace {

namespace fs = std::filesystem;

template <class T>
std::unique_ptr<Tokenizer> load_file(const fs::path& path, const TokenizerConfig& config) {
  const std::string bytes = read_text(path);
  if (bytes.starts_with("version https://git-lfs"))
    throw Error(fmt::format("{} is a git-lfs pointer, not the tokenizer", path.string()),
                "Run `git lfs pull` in that folder, or download the file itself.");
  try {
    return std::make_unique<T>(bytes, config);
  } catch (const Error& error) {
    throw Error(fmt::format("{} is damaged or of an unknown kind: {}", path.string(), error.problem()),
                "Get the file again from where the model came from.");
  }
}

}  // namespace

std::unique_ptr<Tokenizer> Tokenizer::load(const fs::path& folder) {
  const fs::path json = folder / "tokenizer.json";
  const fs::path model = folder / "tokenizer.model";
  const auto config = TokenizerConfig::load(folder);
  if (fs::exists(json)) return load_file<TokenizerJson>(json, config);
  if (fs::exists(model)) return load_file<SentencePieceTokenizer>(model, config);
  throw Error(fmt::format("{} has neither tokenizer.json nor tokenizer.model", folder.string()),
              "Give the folder of a Hugging Face model with its tokenizer files.");
}

}  // namespace lmdeploy
