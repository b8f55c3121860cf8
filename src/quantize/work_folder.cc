#include "quantize/work_folder.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/error.h"
#include "checkpoint/json_file.h"

namespace lmdeploy {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

constexpr std::uint64_t kMaxJsonBytes = 16 << 20;
constexpr const char* kRequestFile = "request.json";
constexpr const char* kReportFile = "report.json";
constexpr const char* kResultFolder = "result";

// Absolute, without a slash at the end.
fs::path normal(const fs::path& folder) {
  const fs::path path = fs::absolute(folder).lexically_normal();
  return path.has_filename() ? path : path.parent_path();
}

void refuse_used_folder(const fs::path& folder) {
  if (!fs::exists(folder) || (fs::is_directory(folder) && fs::is_empty(folder))) return;
  throw Error(fmt::format("--work-dir {} exists and is not empty", folder.string()),
              "Choose another folder, or remove it first.");
}

void make_folder(const fs::path& folder) {
  std::error_code failure;
  fs::create_directories(folder, failure);
  if (failure)
    throw Error(fmt::format("cannot create {}: {}", folder.string(), failure.message()),
                "Choose a --work-dir that can be written.");
}

// "bits 8, then 4; seqlen 512, then 2048"
std::string differences(const nlohmann::json& before, const ordered_json& now) {
  std::vector<std::string> texts;
  for (const auto& [key, value] : now.items()) {
    const auto found = before.find(key);
    const std::string was = found == before.end() ? "nothing" : found->dump();
    if (was != value.dump()) texts.push_back(fmt::format("{} was {} and is {}", key, was, value.dump()));
  }
  return fmt::format("{}", fmt::join(texts, "; "));
}

}  // namespace

WorkFolder::WorkFolder(const fs::path& folder, const ordered_json& request, bool resume)
    : folder_(normal(folder)), path_(folder_.string() + ".partial") {
  refuse_used_folder(folder_);
  open(request, resume);
  remove_leftovers();
  while (fs::exists(layer_folder(num_finished_layers_) / kReportFile)) ++num_finished_layers_;
}

void WorkFolder::open(const ordered_json& request, bool resume) {
  const bool exists = fs::exists(path_ / kRequestFile);
  if (exists && !resume)
    throw Error(fmt::format("an unfinished run is in {}", path_.string()),
                "Go on with it: --resume. Or remove that folder.");
  if (!exists && resume)
    throw Error(fmt::format("--resume: there is no unfinished run in {}", path_.string()),
                "Leave out --resume to start one.");
  if (!exists) {
    make_folder(path_);
    write_text_file(path_ / kRequestFile, request.dump(2) + "\n");
    return;
  }
  const std::string changed = differences(load_json_object(path_ / kRequestFile, kMaxJsonBytes), request);
  if (!changed.empty())
    throw Error(
        fmt::format("--resume: the run in {} was asked for something else: {}", path_.string(), changed),
        "Give the options of the first run, or remove that folder.");
}

// Temporary files of a process that was killed.
void WorkFolder::remove_leftovers() const {
  std::vector<fs::path> leftovers;
  for (const auto& entry : fs::recursive_directory_iterator(path_))
    if (entry.path().filename().string().find(".tmp-") != std::string::npos)
      leftovers.push_back(entry.path());
  for (const fs::path& file : leftovers) fs::remove(file);
}

fs::path WorkFolder::layer_folder(std::int64_t layer_idx) const {
  return path_ / fmt::format("layer-{:05}", layer_idx);
}

fs::path WorkFolder::stream_file(Stream stream, std::int64_t layer_idx) const {
  return path_ / fmt::format("{}-{:05}.bf16", stream == Stream::full ? "full" : "quantized", layer_idx);
}

std::vector<LayerReport> WorkFolder::reports() const {
  std::vector<LayerReport> reports;
  for (std::int64_t i = 0; i < num_finished_layers_; i++)
    reports.push_back(layer_report_from_json(load_json_object(layer_folder(i) / kReportFile, kMaxJsonBytes)));
  return reports;
}

void WorkFolder::forget_samples(std::int64_t layer_idx) const {
  for (const Stream stream : {Stream::full, Stream::quantized}) fs::remove(stream_file(stream, layer_idx));
}

void WorkFolder::finish_layer(const QuantizedBlock& block) {
  const fs::path folder = layer_folder(num_finished_layers_);
  make_folder(folder);
  std::vector<TensorSpec> specs;
  for (const FileTensor& tensor : block.tensors) specs.push_back(tensor.spec());
  CheckpointWriter writer(folder, specs);
  for (const FileTensor& tensor : block.tensors) writer.write(tensor.name, tensor.data.view());
  writer.finish();
  // The last: with it the layer counts as finished.
  write_text_file(folder / kReportFile, to_json(block.report).dump() + "\n");
  forget_samples(num_finished_layers_);
  ++num_finished_layers_;
}

fs::path WorkFolder::make_result_folder() {
  const fs::path result = path_ / kResultFolder;
  fs::remove_all(result);
  make_folder(result);
  return result;
}

void WorkFolder::publish() {
  const fs::path result = path_ / kResultFolder;
  sync_folder(result);
  if (std::rename(result.c_str(), folder_.c_str()) != 0)
    throw Error(
        fmt::format("cannot rename {} to {}: {}", result.string(), folder_.string(), std::strerror(errno)),
        "The result is complete where it is.");
  sync_folder(folder_.parent_path());
  fs::remove_all(path_);
}

}  // namespace lmdeploy
