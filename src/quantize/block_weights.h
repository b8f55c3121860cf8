#pragma once
#include <map>
#include <string>

#include "quantize/block_runner.h"

namespace lmdeploy {

// The tensors of one decoder layer that quantisation changes, as f32: the weights of its linear layers and
// what makes their inputs. While this lives the checkpoint gives these in place of its own.
class BlockWeights {
 public:
  BlockWeights(Ctx& ctx, const BlockSource& source, std::int64_t layer_idx);
  ~BlockWeights();
  BlockWeights(const BlockWeights&) = delete;
  BlockWeights& operator=(const BlockWeights&) = delete;

  // Below the layer's prefix, without ".weight".
  View weight(const std::string& name) const;       // [n, k], or a norm's [k]
  View find_bias(const std::string& name) const;    // [n]; empty where there is none
  DType file_dtype(const std::string& name) const;  // of the weight in the checkpoint

  const std::string& prefix() const noexcept { return prefix_; }  // "model.layers.3."

 private:
  void load(Ctx& ctx, const std::string& name);

  std::shared_ptr<Checkpoint> checkpoint_;
  std::string prefix_;
  std::map<std::string, Tensor> tensors_;     // by whole name
  std::map<std::string, DType> file_dtypes_;  // by whole name
};

}  // namespace lmdeploy
