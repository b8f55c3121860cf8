#include "quantize/finished_layer.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "checkpoint/stored_linear.h"
#include "ops/ops.h"
#include "quantize/file_tensors.h"

namespace lmdeploy {

FinishedLayer::FinishedLayer(Contexts& contexts, const BlockSource& source, const Recipe& recipe,
                             const WorkFolder& work, std::int64_t layer_idx)
    : weights_(contexts.host(), source, layer_idx) {
  const Checkpoint finished(work.layer_folder(layer_idx));
  const QuantizationConfig config = parse_quantization_config(
      quantization_config(recipe, source.architecture.outer.head), work.path().string());
  for (const LinearGroup& group : source.architecture.linear_groups) {
    for (const std::string& name : group.linears) take_linear(contexts.host(), finished, config, name);
    if (group.maker == LinearGroup::Maker::norm)
      take_vector(contexts.host(), finished, group.maker_name + ".weight", weights_.weight(group.maker_name));
    if (group.maker == LinearGroup::Maker::linear)
      take_vector(contexts.host(), finished, group.maker_name + ".bias",
                  weights_.find_bias(group.maker_name));
  }
}

void FinishedLayer::take_linear(Ctx& host, const Checkpoint& finished, const QuantizationConfig& config,
                                const std::string& name) {
  constexpr std::int64_t kOutputsPerTask = 128;
  const View weight = weights_.weight(name);
  const std::int64_t n = weight.dim(0), k = weight.dim(1);
  const auto stored = find_stored_linear(finished, config, weights_.prefix() + name, n, k);
  CHECK(stored && stored->input_order.empty(), "{}{} is not as it was written", weights_.prefix(), name);
  QuantizedLinear linear = make_quantized_linear(host, n, k, stored->format);
  host.pool->parallel_for((n + kOutputsPerTask - 1) / kOutputsPerTask, [&](std::int64_t task_idx, int) {
    const std::int64_t first = task_idx * kOutputsPerTask, count = std::min(kOutputsPerTask, n - first);
    const QuantizedRows all = linear.view();
    stored->unpack(first,
                   {all.q.rows(first, count), all.scales.rows(first, count), all.zeros.rows(first, count)});
  });
  dequantize(host, linear, weight);
}

// target: [k] f32. A norm or bias that rounding has left alone is not in the work folder.
void FinishedLayer::take_vector(Ctx& host, const Checkpoint& finished, const std::string& name,
                                const View& target) const {
  const std::string whole_name = weights_.prefix() + name;
  if (target.empty() || !finished.contains(whole_name)) return;
  const View stored = finished.get(whole_name);
  ops::cast(host, {stored.data, stored.dtype, {1, stored.dim(0)}},
            {target.data, DType::f32, {1, target.dim(0)}});
}

}  // namespace lmdeploy
