#include "cli/calibration_dataset.h"

#include <algorithm>

#include "base/error.h"
#include "base/format_bytes.h"
#include "base/mapped_file.h"
#include "checkpoint/output_file.h"
#include "cli/cache_key.h"
#include "cli/environment.h"
#include "cli/hub_download.h"
#include "cli/progress.h"
#include "cli/say.h"
#include "dataset/text_column.h"

namespace lmdeploy::cli {
namespace {

namespace fs = std::filesystem;

struct HubDataset {
  const char* name;
  const char* repo;
  const char* revision;
  const char* path;
  const char* column;        // with the text
  std::int64_t first_bytes;  // that are asked for; 0: the whole file
};

// Enough for kMaxCalibrationBytes of text, of files of hundreds of megabytes.
constexpr std::int64_t kFirstBytes = 8 << 20;

// The files that LMDeploy's lite/utils/calib_dataloader.py reads through Python's `datasets`. ptb is a script
// there; what the script gives stands in the branch that the hub itself makes.
constexpr HubDataset kDatasets[] = {
    {"ptb", "ptb-text-only/ptb_text_only", "refs/convert/parquet", "penn_treebank/train/0000.parquet",
     "sentence", 0},
    {"wikitext2", "Salesforce/wikitext", "main", "wikitext-2-raw-v1/train-00000-of-00001.parquet", "text", 0},
    {"c4", "allenai/c4", "main", "en/c4-train.00000-of-01024.json.gz", "text", kFirstBytes},
    {"pileval", "mit-han-lab/pile-val-backup", "main", "val.jsonl.zst", "text", kFirstBytes},
};

// A change in any of it is another text.
fs::path cached_text(const HubDataset& dataset) {
  const std::string identity = fmt::format("{}|{}|{}|{}|{}|{}", dataset.repo, dataset.revision, dataset.path,
                                           dataset.column, dataset.first_bytes, kMaxCalibrationBytes);
  return lmdeploy_cache_folder() / "datasets" / (cache_key(dataset.name, identity) + ".txt");
}

std::string fetch_text(const HubDataset& dataset, const ModelOptions& model) {
  client::HubOptions options = hub_options(model);
  options.revision = dataset.revision;
  ProgressLine line(dataset.name);
  options.on_progress = [&](const client::HubProgress& progress) {
    line.update(progress.done_bytes, progress.total_bytes);
  };
  const client::HubRepo repo{dataset.repo, client::HubRepo::Kind::dataset};
  if (dataset.first_bytes > 0) {
    const std::string begin = download_first_bytes(repo, dataset.path, dataset.first_bytes, options);
    return read_text_column(begin, dataset.column, kMaxCalibrationBytes);
  }
  const MappedFile file(download_one_file(repo, dataset.path, options));
  return read_text_column(file.text(), dataset.column, kMaxCalibrationBytes);
}

void keep(const std::string& text, const fs::path& path) {
  std::error_code failure;  // shows when the file is written
  fs::create_directories(path.parent_path(), failure);
  write_text_file(path, text);
}

[[noreturn]] void refuse(const HubDataset& dataset, const Error& error) {
  throw Error(
      fmt::format("--calib-dataset {}: {} of the data set {}: {}", dataset.name, dataset.path, dataset.repo,
                  error.problem()),
      fmt::format(
          "{}{}Or give a text file: --calib-dataset FILE.txt (half a megabyte of what the model will read is "
          "enough), or --calib-samples 0 to round without data.",
          error.remedy(), error.remedy().empty() ? "" : " "));
}

}  // namespace

std::string calibration_dataset_names() {
  std::string names;
  for (const HubDataset& dataset : kDatasets)
    names += (names.empty() ? "" : ", ") + std::string(dataset.name);
  return names;
}

fs::path calibration_dataset_file(const std::string& name, const ModelOptions& model) {
  const auto* dataset = std::find_if(std::begin(kDatasets), std::end(kDatasets),
                                     [&](const HubDataset& known) { return known.name == name; });
  if (dataset == std::end(kDatasets)) return {};
  const fs::path path = cached_text(*dataset);
  if (fs::exists(path)) return path;
  try {
    const std::string text = fetch_text(*dataset, model);
    keep(text, path);
    say(fmt::format("{}: {} of text from {}, kept as {}", name, format_bytes(std::ssize(text)), dataset->repo,
                    path.string()));
    return path;
  } catch (const Error& error) {
    refuse(*dataset, error);
  }
}

}  // namespace lmdeploy::cli
