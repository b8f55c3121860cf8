#pragma once
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

#include "quantize/block_quantizer.h"

namespace lmdeploy {

// Where a quantised folder grows: NAME.partial beside the folder NAME that it becomes at the end. It holds
// what the run was asked for, a folder per finished layer, and the samples as the next layer reads them; a
// run that was cut off goes on behind the last finished layer.
class WorkFolder {
 public:
  // request: what must be the same for a run to go on. Throws Error: NAME exists and is not empty; an
  // unfinished run is there and `resume` is not asked for, or none is and it is, or one that was asked for
  // something else.
  WorkFolder(const std::filesystem::path& folder, const nlohmann::ordered_json& request, bool resume);

  std::int64_t num_finished_layers() const noexcept { return num_finished_layers_; }
  std::vector<LayerReport> reports() const;  // of the finished layers

  enum class Stream : std::uint8_t { full, quantized };
  // The samples as layer `layer_idx` reads them.
  std::filesystem::path stream_file(Stream stream, std::int64_t layer_idx) const;

  // Removes the samples as that layer reads them, where there are files of them.
  void forget_samples(std::int64_t layer_idx) const;

  // Keeps the layer's tensors and report, and forgets the samples that only this layer has read.
  void finish_layer(const QuantizedBlock& block);
  std::filesystem::path layer_folder(std::int64_t layer_idx) const;

  // A folder for the result, empty; publish() gives it the final name and removes the rest.
  std::filesystem::path make_result_folder();
  void publish();

  const std::filesystem::path& path() const noexcept { return path_; }

 private:
  void open(const nlohmann::ordered_json& request, bool resume);
  void remove_leftovers() const;

  std::filesystem::path folder_;  // NAME
  std::filesystem::path path_;    // NAME.partial
  std::int64_t num_finished_layers_ = 0;
};

}  // namespace lmdeploy
