#pragma once
#include "quantize/tiny_model.h"

namespace lmdeploy::testing {

// Random tokens as the first layer of a tiny model reads them.
class SamplesAtALayer {
 public:
  SamplesAtALayer(Cpu& cpu, const TinyModel& model, std::int64_t num_samples, std::int64_t seqlen)
      : shape_{num_samples, seqlen, model.source().config.hidden_size} {
    StreamWriter writer(root_ / "in", shape_);
    write_embeddings(cpu.ctx, model.source(), TinyModel::samples(num_samples, seqlen), writer);
    writer.commit();
  }

  const StreamShape& shape() const { return shape_; }
  StreamReader reader() const { return {root_ / "in", shape_}; }

 private:
  const TempFolder root_;
  StreamShape shape_;
};

}  // namespace lmdeploy::testing
