#include "cli/model_source.h"

#include <algorithm>
#include <cctype>

#include "cli/gguf_cache.h"
#include "cli/hf_overrides.h"
#include "cli/hub_download.h"
#include "cli/usage_error.h"

namespace lmdeploy::cli {
namespace {

namespace fs = std::filesystem;

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

std::string without_trailing_slashes(std::string text) {
  while (text.size() > 1 && text.back() == '/') text.pop_back();
  return text;
}

void check_folder(const fs::path& folder) {
  if (fs::exists(folder / "config.json")) return;
  std::string remedy = "A model folder holds config.json, tokenizer files and *.safetensors.";
  for (const auto& entry : fs::directory_iterator(folder))
    if (lower(entry.path().extension().string()) == ".gguf")
      remedy = fmt::format("It holds a GGUF file; name that: {}", entry.path().string());
  throw Error(fmt::format("{} is no model folder: it has no config.json", folder.string()), remedy);
}

[[noreturn]] void refuse_missing(const std::string& model) {
  throw Error(fmt::format("there is no model '{}'", model),
              "Give a model folder, a .gguf file, or a hub name such as internlm/internlm2_5-1_8b-chat. "
              "The demo model: make model, then models/SmolLM2-135M-Instruct.");
}

fs::path locate(const ModelOptions& options) {
  const fs::path path = options.model;
  if (fs::is_directory(path)) {
    check_folder(path);
    return path;
  }
  if (fs::exists(path)) {
    if (lower(path.extension().string()) == ".gguf") return converted_gguf(path);
    throw Error(fmt::format("{} is a file and no .gguf file", options.model),
                "Give the folder that holds config.json and the weights.");
  }
  const bool looks_like_path = path.is_absolute() || options.model.starts_with(".") ||
                               lower(path.extension().string()) == ".gguf" ||
                               !looks_like_hub_name(options.model);
  if (looks_like_path) refuse_missing(options.model);
  return download_from_hub(options);
}

}  // namespace

bool looks_like_hub_name(const std::string& text) {
  const std::size_t slash = text.find('/');
  if (slash == 0 || slash == std::string::npos || slash + 1 == text.size()) return false;
  if (text.find('/', slash + 1) != std::string::npos || text.find("..") != std::string::npos) return false;
  return std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '/' || c == '-' || c == '_' || c == '.';
  });
}

ModelSource find_model(const ModelOptions& options) {
  ModelSource source{locate(options), without_trailing_slashes(options.model)};
  if (!options.hf_overrides.empty()) source.folder = overridden_folder(source.folder, options.hf_overrides);
  return source;
}

}  // namespace lmdeploy::cli
