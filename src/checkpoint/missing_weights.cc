#include "checkpoint/missing_weights.h"

#include <set>
#include <string>

namespace lmdeploy {
namespace {

namespace fs = std::filesystem;

// The folder's first file (by name) with this extension, or "".
std::string find_file(const std::set<std::string>& files, const std::string& extension) {
  for (const std::string& file : files)
    if (fs::path(file).extension() == extension) return file;
  return {};
}

std::string conversion_command(const fs::path& folder) {
  const std::string name = folder.string();
  return fmt::format(
      "Convert them where you trust their source: python3 -c \"from transformers import AutoModelForCausalLM "
      "as M; M.from_pretrained('{0}', dtype='auto').save_pretrained('{0}-safetensors')\", then copy the "
      "tokenizer files and start with that folder.",
      name);
}

}  // namespace

Error missing_weights(const fs::path& folder) {
  std::set<std::string> files;
  for (const auto& item : fs::directory_iterator(folder)) files.insert(item.path().filename().string());
  const std::string name = folder.string();
  for (const char* extension : {".bin", ".pt", ".pth", ".ckpt"}) {
    const std::string pickled = find_file(files, extension);
    if (!pickled.empty())
      return Error(
          fmt::format("{} holds pickled weights ({}): loading them would run code that they carry, so "
                      "only safetensors are read",
                      name, pickled),
          conversion_command(folder));
  }
  if (const std::string shard = find_file(files, ".safetensors"); !shard.empty())
    return Error(fmt::format("{} holds {} but neither model.safetensors nor model.safetensors.index.json",
                             name, shard),
                 "Fetch the index file that belongs to the shards.");
  if (const std::string gguf = find_file(files, ".gguf"); !gguf.empty())
    return Error(fmt::format("{} holds {} instead of safetensors", name, gguf),
                 fmt::format("Convert it: lmdeploy convert {} --work-dir DIR", (folder / gguf).string()));
  return Error(fmt::format("{} holds no weights (model.safetensors or model.safetensors.index.json)", name),
               "Give the folder of a Hugging Face model.");
}

}  // namespace lmdeploy
