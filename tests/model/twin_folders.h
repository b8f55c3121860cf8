#pragma once
#include <filesystem>
#include <functional>
#include <map>
#include <string>

#include "checkpoint/quantization_config.h"
#include "make_model_weights.h"
#include "support/temp_folder.h"
#include "tensor/tensor.h"

namespace lmdeploy::testing {

struct TwinOptions {
  QuantizationConfig config{WeightFormat::awq, 4, 32, false, false};
  make_model::Layout layout = make_model::Layout::llama;
  // The seed of a layer's act order; 0: none.
  std::function<unsigned(const std::string& name)> order_seed = [](const std::string&) { return 0U; };
  // Layers that are not quantised.
  std::function<bool(const std::string& name)> is_left_alone = [](const std::string&) { return false; };
};

// A tiny random model twice: with its linear layers quantised in a format, and with the floats that these
// integers stand for.
class TwinFolders {
 public:
  explicit TwinFolders(const TwinOptions& options);

  std::filesystem::path quantized() const { return folder_ / "quantized"; }
  std::filesystem::path floats() const { return folder_ / "floats"; }

 private:
  TempFolder folder_;
};

}  // namespace lmdeploy::testing
