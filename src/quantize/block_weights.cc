#include "quantize/block_weights.h"

#include "base/error.h"
#include "model/decoder_reader.h"

namespace lmdeploy {
namespace {

// [k] as the [1, k] that ops::cast takes.
View as_matrix(const View& tensor) {
  return tensor.shape.rank() == 1 ? View(tensor.data, tensor.dtype, {1, tensor.dim(0)}) : tensor;
}

}  // namespace

BlockWeights::BlockWeights(Ctx& ctx, const BlockSource& source, std::int64_t layer_idx)
    : checkpoint_(source.checkpoint), prefix_(layer_prefix(layer_idx)) {
  for (const LinearGroup& group : source.architecture.linear_groups) {
    for (const std::string& name : group.linears) {
      load(ctx, prefix_ + name + ".weight");
      if (checkpoint_->contains(prefix_ + name + ".bias")) load(ctx, prefix_ + name + ".bias");
    }
    if (group.maker == LinearGroup::Maker::norm) load(ctx, prefix_ + group.maker_name + ".weight");
  }
}

BlockWeights::~BlockWeights() {
  for (const auto& [name, tensor] : tensors_) checkpoint_->restore(name);
}

void BlockWeights::load(Ctx& ctx, const std::string& name) {
  const View stored = checkpoint_->get(name);
  Tensor tensor(*ctx.allocator, DType::f32, stored.shape);
  ops::cast(ctx, as_matrix(stored), as_matrix(tensor));
  checkpoint_->release(name);
  file_dtypes_[name] = stored.dtype;
  checkpoint_->replace(name, tensor);
  tensors_.emplace(name, std::move(tensor));
}

View BlockWeights::weight(const std::string& name) const {
  const auto found = tensors_.find(prefix_ + name + ".weight");
  CHECK(found != tensors_.end(), "{}{} is not of this layer", prefix_, name);
  return found->second.view();
}

View BlockWeights::find_bias(const std::string& name) const {
  const auto found = tensors_.find(prefix_ + name + ".bias");
  return found == tensors_.end() ? View() : found->second.view();
}

DType BlockWeights::file_dtype(const std::string& name) const {
  return file_dtypes_.at(prefix_ + name + ".weight");
}

}  // namespace lmdeploy
