#include "convert/gguf_to_hf.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/error.h"
#include "checkpoint/output_file.h"
#include "convert/architectures.h"
#include "convert/model_config.h"
#include "convert/tensor_plan.h"
#include "convert/tensor_stream.h"
#include "convert/tokenizer_config.h"
#include "convert/tokenizer_json.h"

namespace lmdeploy {
namespace {

namespace fs = std::filesystem;

void refuse_used_folder(const fs::path& folder) {
  if (!fs::exists(folder) || (fs::is_directory(folder) && fs::is_empty(folder))) return;
  throw Error(fmt::format("{} exists and is not empty", folder.string()),
              "Choose another folder, or remove it first.");
}

// A folder beside the final one, removed with all that is in it unless it got the final name.
class TemporaryFolder {
 public:
  explicit TemporaryFolder(const fs::path& folder) : folder_(fs::absolute(folder).lexically_normal()) {
    if (!folder_.has_filename()) folder_ = folder_.parent_path();  // "DIR/"
    path_ = folder_.parent_path() / fmt::format(".{}.tmp-{}", folder_.filename().string(), ::getpid());
    std::error_code failure;
    fs::create_directories(folder_.parent_path(), failure);
    if (!failure) fs::remove_all(path_, failure);
    if (!failure) fs::create_directory(path_, failure);
    if (failure) throw Error(fmt::format("cannot create {}: {}", path_.string(), failure.message()));
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    if (!renamed_) fs::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const fs::path& path() const { return path_; }

  void rename() {
    sync_folder(path_);
    if (std::rename(path_.c_str(), folder_.c_str()) != 0)
      throw Error(
          fmt::format("cannot rename {} to {}: {}", path_.string(), folder_.string(), std::strerror(errno)),
          "Another program may have made that folder meanwhile.");
    renamed_ = true;
    sync_folder(folder_.parent_path());
  }

 private:
  fs::path folder_;
  fs::path path_;
  bool renamed_ = false;
};

}  // namespace

void convert_gguf(const fs::path& gguf, const fs::path& folder, const ConvertProgress& progress) {
  refuse_used_folder(folder);
  const GgufFile file(gguf);
  const convert::Architecture& architecture = convert::get_architecture(file.metadata());
  HfConfig config = convert::read_model_config(file, architecture);
  const convert::Vocabulary vocabulary = convert::read_vocabulary(file.metadata(), config.vocab_size);
  convert::set_special_ids(vocabulary, config);
  const std::vector<convert::PlannedTensor> tensors = convert::plan_tensors(file, architecture, config);
  const std::string tokenizer = convert::tokenizer_json(vocabulary, gguf.string());

  // All that the header can tell was checked above, before a byte is written.
  TemporaryFolder temporary(folder);
  std::vector<TensorSpec> specs;
  for (const convert::PlannedTensor& tensor : tensors) specs.push_back(tensor.target);
  CheckpointWriter writer(temporary.path(), specs);
  convert::stream_tensors(file, tensors, writer, progress);
  writer.finish();
  write_text_file(temporary.path() / "config.json", convert::config_json(config));
  write_text_file(temporary.path() / "generation_config.json", convert::generation_config_json(config));
  write_text_file(temporary.path() / "tokenizer.json", tokenizer);
  write_text_file(
      temporary.path() / "tokenizer_config.json",
      convert::tokenizer_config_json(file.metadata(), vocabulary, config.max_position_embeddings));
  temporary.rename();
}

}  // namespace lmdeploy
