#include "quantize/file_tensors.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "ops/ops.h"
#include "quant/awq_layout.h"
#include "quant/compressed_layout.h"
#include "quant/gptq_layout.h"

namespace lmdeploy {
namespace {

using nlohmann::ordered_json;

// The sizes of a linear layer in its file.
struct Sizes {
  std::int64_t n, k, num_groups, per_word;
};

Sizes sizes_of(const QuantizedLinear& linear) {
  return {linear.q.shape()[0], linear.q.shape()[1], linear.scales.shape()[1], 32 / linear.format.bits};
}

FileTensor make(Ctx& ctx, std::string name, DType dtype, Shape shape) {
  return {std::move(name), Tensor(*ctx.allocator, dtype, shape)};
}

// pack(rows, first output) for pieces of the layer, on all threads. In every format pieces of so many outputs
// begin with a new word, and mostly with a new cache line.
template <class Pack>
void for_outputs(Ctx& ctx, const QuantizedLinear& linear, const Pack& pack) {
  constexpr std::int64_t kOutputsPerTask = 128;
  const std::int64_t n = linear.q.shape()[0];
  ctx.pool->parallel_for((n + kOutputsPerTask - 1) / kOutputsPerTask, [&](std::int64_t task_idx, int) {
    const std::int64_t first = task_idx * kOutputsPerTask, count = std::min(kOutputsPerTask, n - first);
    const QuantizedRows all = linear.view();
    pack({all.q.rows(first, count), all.scales.rows(first, count), all.zeros.rows(first, count)}, first);
  });
}

std::vector<FileTensor> awq_tensors(Ctx& ctx, const Recipe& recipe, const std::string& name,
                                    const QuantizedLinear& linear) {
  const Sizes s = sizes_of(linear);
  std::vector<FileTensor> result;
  result.push_back(make(ctx, name + ".qweight", DType::i32, {s.k, s.n / s.per_word}));
  result.push_back(make(ctx, name + ".scales", recipe.scale_dtype, {s.num_groups, s.n}));
  result.push_back(make(ctx, name + ".qzeros", DType::i32, {s.num_groups, s.n / s.per_word}));
  for_outputs(ctx, linear, [&](const QuantizedRows& rows, std::int64_t first) {
    pack_awq(rows, first, {result[0].data, result[1].data, result[2].data});
  });
  return result;
}

std::vector<FileTensor> gptq_tensors(Ctx& ctx, const Recipe& recipe, const std::string& name,
                                     const QuantizedLinear& linear) {
  const Sizes s = sizes_of(linear);
  std::vector<FileTensor> result;
  result.push_back(make(ctx, name + ".qweight", DType::i32, {s.k / s.per_word, s.n}));
  result.push_back(make(ctx, name + ".scales", recipe.scale_dtype, {s.num_groups, s.n}));
  result.push_back(
      make(ctx, name + ".qzeros", DType::i32, {s.num_groups, (s.n + s.per_word - 1) / s.per_word}));
  result.push_back(make(ctx, name + ".g_idx", DType::i32, {s.k}));
  GptqTensors tensors;
  tensors.bits = linear.format.bits;
  tensors.qweight = result[0].data;
  tensors.scales = result[1].data;
  tensors.qzeros = result[2].data;
  for_outputs(ctx, linear,
              [&](const QuantizedRows& rows, std::int64_t first) { pack_gptq(rows, first, tensors); });
  for (std::int64_t i = 0; i < s.k; i++)
    result[3].data.view().as<std::int32_t>()[i] = static_cast<std::int32_t>(i / linear.format.group_size);
  return result;
}

std::vector<FileTensor> int8_tensors(Ctx& ctx, const Recipe& recipe, const std::string& name,
                                     const QuantizedLinear& linear) {
  const Sizes s = sizes_of(linear);
  std::vector<FileTensor> result;
  result.push_back(make(ctx, name + ".weight", DType::i8, {s.n, s.k}));
  result.push_back(make(ctx, name + ".weight_scale", recipe.scale_dtype, {s.n, s.num_groups}));
  for_outputs(ctx, linear, [&](const QuantizedRows& rows, std::int64_t first) {
    pack_compressed(rows, first, {linear.format.bits, result[0].data, result[1].data, {}});
  });
  return result;
}

ordered_json awq_config(const Recipe& recipe, const std::string& head) {
  return {{"quant_method", "awq"},           {"version", "gemm"},  {"bits", recipe.bits},
          {"group_size", recipe.group_size}, {"zero_point", true}, {"modules_to_not_convert", {head}}};
}

// desc_act false: rounding may go in the order of the activations, but groups are of neighbouring inputs.
ordered_json gptq_config(const Recipe& recipe) {
  return {{"quant_method", "gptq"},   {"checkpoint_format", "gptq"},
          {"bits", recipe.bits},      {"group_size", recipe.group_size},
          {"desc_act", false},        {"static_groups", true},
          {"sym", recipe.symmetric},  {"lm_head", false},
          {"true_sequential", false}, {"damp_percent", 0.01},
          {"pack_dtype", "int32"}};
}

ordered_json int8_arguments(const char* strategy, bool dynamic) {
  return {{"num_bits", 8},
          {"type", "int"},
          {"symmetric", true},
          {"strategy", strategy},
          {"dynamic", dynamic},
          {"group_size", nullptr},
          {"actorder", nullptr},
          {"block_structure", nullptr},
          {"observer", dynamic ? ordered_json(nullptr) : ordered_json("minmax")},
          {"observer_kwargs", ordered_json::object()}};
}

// As llm-compressor writes W8A8: a scale per output, and one per token that is found while running.
ordered_json int8_config(const std::string& head) {
  const ordered_json group = {{"targets", {"Linear"}},
                              {"weights", int8_arguments("channel", false)},
                              {"input_activations", int8_arguments("token", true)},
                              {"output_activations", nullptr}};
  return {{"quant_method", "compressed-tensors"},
          {"format", "int-quantized"},
          {"quantization_status", "compressed"},
          {"config_groups", {{"group_0", group}}},
          {"ignore", {head}},
          {"kv_cache_scheme", nullptr},
          {"global_compression_ratio", nullptr}};
}

// [k] as the [1, k] that ops::cast takes.
View as_matrix(const View& tensor) {
  return tensor.shape.rank() == 1 ? View(tensor.data, tensor.dtype, {1, tensor.dim(0)}) : tensor;
}

}  // namespace

std::vector<FileTensor> file_tensors(Ctx& ctx, const Recipe& recipe, const std::string& name,
                                     const QuantizedLinear& linear) {
  switch (recipe.format) {
    case OutputFormat::awq:
      return awq_tensors(ctx, recipe, name, linear);
    case OutputFormat::gptq:
      return gptq_tensors(ctx, recipe, name, linear);
    case OutputFormat::int8_per_token:
      return int8_tensors(ctx, recipe, name, linear);
  }
  CHECK(false, "format {}", static_cast<int>(recipe.format));
}

FileTensor converted_tensor(Ctx& ctx, const std::string& name, const View& source, DType dtype) {
  FileTensor result = make(ctx, name, dtype, source.shape);
  ops::cast(ctx, as_matrix(source), as_matrix(result.data));
  return result;
}

ordered_json quantization_config(const Recipe& recipe, const std::string& head) {
  switch (recipe.format) {
    case OutputFormat::awq:
      return awq_config(recipe, head);
    case OutputFormat::gptq:
      return gptq_config(recipe);
    case OutputFormat::int8_per_token:
      return int8_config(head);
  }
  CHECK(false, "format {}", static_cast<int>(recipe.format));
}

}  // namespace lmdeploy
