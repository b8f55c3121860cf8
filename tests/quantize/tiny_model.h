#pragma once
#include <memory>
#include <string>

#include "make_model_texts.h"
#include "make_model_weights.h"
#include "model/model_session.h"
#include "quantize/block_runner.h"
#include "support/temp_folder.h"

namespace lmdeploy::testing {

using make_model::Layout;

// A random model of two layers, hidden size 64, in a folder of its own.
class TinyModel {
 public:
  TinyModel(Cpu& cpu, Layout layout, DType dtype = DType::bf16)
      : folder_(make(cpu, layout)),
        config_(load_hf_config(folder_)),
        source_{config_, get_architecture(config_, folder_), std::make_shared<Checkpoint>(folder_), dtype} {}

  const BlockSource& source() const { return source_; }
  const std::filesystem::path& folder() const { return folder_; }

  // `num_samples` samples of `seqlen` random tokens.
  static CalibrationSamples samples(std::int64_t num_samples, std::int64_t seqlen) {
    const Ids text = random_ids(static_cast<std::int32_t>(num_samples * seqlen), 1200, 3);
    return choose_samples(text, {num_samples, seqlen, SampleOrder::sequential, 0});
  }

 private:
  std::filesystem::path make(Cpu& cpu, Layout layout) const {
    const make_model::ModelShape& shape = *make_model::find_shape("tiny");
    const std::filesystem::path folder = root_ / "model";
    std::filesystem::create_directories(folder);
    make_model::write_texts(shape, {layout, make_model::Storage::bf16}, folder);
    make_model::write_weights(cpu.pool, shape, {layout, make_model::Storage::bf16}, 0, folder);
    return folder;
  }

  const TempFolder root_;
  std::filesystem::path folder_;
  HfConfig config_;
  BlockSource source_;
};

}  // namespace lmdeploy::testing
