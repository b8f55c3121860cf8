#pragma once
#include "cli/progress.h"
#include "cli/stopwatch.h"
#include "quantize/pipeline.h"

namespace lmdeploy::cli {

// How far `lmdeploy lite` is: layer, time left, memory.
class LiteProgress {
 public:
  void update(const PipelineProgress& state);

 private:
  ProgressLine line_{"samples", ProgressLine::Unit::count};
  Stopwatch watch_;
  std::int64_t start_done_ = -1;  // what an earlier run had done
};

}  // namespace lmdeploy::cli
