#include "model/twin_folders.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>
#include <random>

#include "checkpoint/checkpoint.h"
#include "checkpoint/writer.h"
#include "make_model_texts.h"
#include "quant/awq_layout.h"
#include "quant/compressed_layout.h"
#include "quant/gptq_layout.h"
#include "quant/owned_rows.h"

namespace lmdeploy::testing {
namespace {

using Json = nlohmann::json;
using Tensors = std::map<std::string, Tensor>;

Tensor as_f32(const View& source) {
  Tensor result(host_allocator(), DType::f32, source.shape);
  for (std::int64_t i = 0; i < source.shape.num_elements(); i++)
    result.view().as<float>()[i] = to_float(source.as<bf16_t>()[i]);
  return result;
}

Json config_of_floats(const QuantizationConfig& config) {
  const Json block{config.block_outputs, config.group_size};
  if (config.format == WeightFormat::fp8) {
    Json result{{"quant_method", "fp8"}, {"activation_scheme", "dynamic"}};
    if (config.group_size > 0) result["weight_block_size"] = block;
    return result;
  }
  Json weights{{"num_bits", 8}, {"type", "float"}, {"strategy", config.group_size < 0 ? "channel" : "block"}};
  if (config.group_size > 0) weights["block_structure"] = block;
  return {{"quant_method", "compressed-tensors"},
          {"format", "float-quantized"},
          {"config_groups", {{"group_0", {{"targets", {"Linear"}}, {"weights", weights}}}}}};
}

Json config_json(const QuantizationConfig& config) {
  if (config.holds_floats()) return config_of_floats(config);
  Json weights{{"num_bits", config.bits},
               {"type", "int"},
               {"symmetric", config.symmetric},
               {"strategy", config.group_size < 0 ? "channel" : "group"}};
  if (config.group_size > 0) weights["group_size"] = config.group_size;
  Json scheme{{"targets", {"Linear"}}, {"weights", weights}};
  if (config.int8_activations)
    scheme["input_activations"] = {
        {"num_bits", 8}, {"type", "int"}, {"strategy", "token"}, {"dynamic", true}};
  switch (config.format) {
    case WeightFormat::awq:
      return {{"quant_method", "awq"},
              {"bits", 4},
              {"group_size", config.group_size},
              {"zero_point", !config.symmetric},
              {"version", "gemm"}};
    case WeightFormat::gptq:
    case WeightFormat::gptq_v2:
      return {{"quant_method", "gptq"},
              {"bits", config.bits},
              {"group_size", config.group_size},
              {"sym", config.symmetric},
              {"checkpoint_format", config.format == WeightFormat::gptq ? "gptq" : "gptq_v2"}};
    case WeightFormat::pack_quantized:
    case WeightFormat::int_quantized:
    case WeightFormat::float_quantized:
    case WeightFormat::fp8:
      break;
  }
  const bool bytes = config.format == WeightFormat::int_quantized;
  return {{"quant_method", "compressed-tensors"},
          {"format", bytes ? "int-quantized" : "pack-quantized"},
          {"config_groups", {{"group_0", scheme}}}};
}

// One layer, rounded to the nearest within the groups that g_idx names.
struct RoundedLayer {
  RoundedLayer(const View& weight, const QuantizationConfig& config, unsigned order_seed)
      : n(weight.dim(0)),
        k(weight.dim(1)),
        group_size(config.group_size < 0 ? k : std::gcd(config.group_size, k)),
        g_idx(static_cast<std::size_t>(k)),
        rows({n, k, group_size, config.bits}),
        floats(host_allocator(), DType::f32, Shape{n, k}) {
    for (std::int64_t i = 0; i < k; i++)
      g_idx[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(i / group_size);
    if (order_seed != 0) std::shuffle(g_idx.begin(), g_idx.end(), std::mt19937(order_seed));
    for (std::int64_t r = 0; r < n; r++)
      for (std::int64_t group = 0; group < k / group_size; group++)
        if (config.holds_floats())
          round_to_float(weight, r, group, config);
        else
          round(weight.row<float>(r), r, group, config);
  }

  void round(const float* weight, std::int64_t r, std::int64_t group, const QuantizationConfig& config) {
    float low = 0, high = 0;
    for (std::int64_t i = 0; i < k; i++)
      if (g_idx[static_cast<std::size_t>(i)] == group)
        low = std::min(low, weight[i]), high = std::max(high, weight[i]);
    const auto most = static_cast<float>((1 << config.bits) - 1);
    const float middle = std::floor(most / 2) + 1;
    const float exact = config.symmetric ? std::max(-low, high) / (middle - 1) : (high - low) / most;
    const float scale = to_float(from_float<f16_t>(exact));
    const float zero = config.symmetric ? middle : std::clamp(std::round(-low / scale), 1.0F, most);
    rows.view().scales.row<float>(r)[group] = scale;
    rows.view().zeros.row<std::uint8_t>(r)[group] = static_cast<std::uint8_t>(zero);
    for (std::int64_t i = 0; i < k; i++) {
      if (g_idx[static_cast<std::size_t>(i)] != group) continue;
      const float q = std::clamp(std::round(weight[i] / scale) + zero, 0.0F, most);
      rows.view().q.row<std::uint8_t>(r)[i] = static_cast<std::uint8_t>(q);
      floats.view().row<float>(r)[i] = (q - zero) * scale;
    }
  }

  // The largest number of its block becomes 448.
  void round_to_float(const View& weight, std::int64_t r, std::int64_t group,
                      const QuantizationConfig& config) {
    const std::int64_t rows_of_block = config.block_outputs,
                       width = config.group_size < 0 ? k : config.group_size;
    const std::int64_t first_row = r / rows_of_block * rows_of_block,
                       first = group * group_size / width * width;
    float largest = 0;
    for (std::int64_t i = first_row; i < std::min(n, first_row + rows_of_block); i++)
      for (std::int64_t j = first; j < std::min(k, first + width); j++)
        largest = std::max(largest, std::abs(weight.row<float>(i)[j]));
    const float scale = to_float(from_float<f16_t>(largest / 448));
    rows.view().scales.row<float>(r)[group] = scale;
    for (std::int64_t j = group * group_size; j < (group + 1) * group_size; j++) {
      const f8_e4m3_t q = from_float<f8_e4m3_t>(weight.row<float>(r)[j] / scale);
      rows.view().q.row<std::uint8_t>(r)[j] = q.bits;
      floats.view().row<float>(r)[j] = to_float(q) * scale;
    }
  }

  std::int64_t n, k, group_size;
  std::vector<std::int32_t> g_idx;
  OwnedRows rows;
  Tensor floats;
};

Tensor copied(const std::vector<std::int32_t>& values) {
  Tensor result(host_allocator(), DType::i32, Shape{std::ssize(values)});
  std::copy(values.begin(), values.end(), result.view().as<std::int32_t>());
  return result;
}

void add_awq(const RoundedLayer& layer, const std::string& name, Tensors& tensors) {
  const std::int64_t num_groups = layer.k / layer.group_size;
  Tensor& qweight = tensors[name + ".qweight"] = zeroed(DType::i32, {layer.k, layer.n / 8});
  Tensor& scales = tensors[name + ".scales"] = zeroed(DType::f16, {num_groups, layer.n});
  Tensor& qzeros = tensors[name + ".qzeros"] = zeroed(DType::i32, {num_groups, layer.n / 8});
  pack_awq(layer.rows.view(), 0, {qweight, scales, qzeros});
}

void add_gptq(const RoundedLayer& layer, const std::string& name, const QuantizationConfig& config,
              Tensors& tensors) {
  const std::int64_t num_groups = layer.k / layer.group_size, per_word = 32 / config.bits;
  Tensor& qweight = tensors[name + ".qweight"] = zeroed(DType::i32, {layer.k / per_word, layer.n});
  Tensor& scales = tensors[name + ".scales"] = zeroed(DType::f16, {num_groups, layer.n});
  Tensor& qzeros = tensors[name + ".qzeros"] = zeroed(DType::i32, {num_groups, layer.n / per_word});
  const GptqZeros zeros = config.format == WeightFormat::gptq ? GptqZeros::minus_one : GptqZeros::as_they_are;
  pack_gptq(layer.rows.view(), 0, {config.bits, zeros, qweight, scales, qzeros});
  tensors[name + ".g_idx"] = copied(layer.g_idx);
}

void add_compressed(const RoundedLayer& layer, const std::string& name, const QuantizationConfig& config,
                    Tensors& tensors) {
  const std::int64_t num_groups = layer.k / layer.group_size, per_word = 32 / config.bits;
  const bool bytes = config.format == WeightFormat::int_quantized;
  Tensor& weight = tensors[name + (bytes ? ".weight" : ".weight_packed")] =
      bytes ? zeroed(DType::i8, {layer.n, layer.k}) : zeroed(DType::i32, {layer.n, layer.k / per_word});
  Tensor& scale = tensors[name + ".weight_scale"] = zeroed(DType::f16, {layer.n, num_groups});
  View zero_point;
  if (!config.symmetric)
    zero_point = tensors[name + ".weight_zero_point"] = zeroed(DType::i32, {layer.n / per_word, num_groups});
  pack_compressed(layer.rows.view(), 0, {config.bits, weight, scale, zero_point});
  tensors[name + ".weight_g_idx"] = copied(layer.g_idx);
}

// With scales of the input that nobody uses.
void add_floats(const RoundedLayer& layer, const std::string& name, const QuantizationConfig& config,
                Tensors& tensors) {
  const std::int64_t width = config.group_size < 0 ? layer.k : config.group_size;
  const auto blocks = [](std::int64_t count, std::int64_t size) { return (count + size - 1) / size; };
  const bool inverse = config.format == WeightFormat::fp8 && config.group_size > 0;
  Tensor& weight = tensors[name + ".weight"] = zeroed(DType::f8_e4m3, {layer.n, layer.k});
  Tensor& scale = tensors[name + (inverse ? ".weight_scale_inv" : ".weight_scale")] =
      zeroed(DType::f32, {blocks(layer.n, config.block_outputs), blocks(layer.k, width)});
  tensors[name + ".input_scale"] = zeroed(DType::f32, {1});
  for (std::int64_t r = 0; r < layer.n; r++) {
    std::memcpy(weight.view().row<f8_e4m3_t>(r), layer.rows.view().q.row<std::uint8_t>(r),
                static_cast<std::size_t>(layer.k));
    for (std::int64_t block = 0; block < scale.shape()[1]; block++)
      scale.view().row<float>(r / config.block_outputs)[block] =
          layer.rows.view().scales.row<float>(r)[block * width / layer.group_size];
  }
}

void add_quantized(const RoundedLayer& layer, const std::string& name, const QuantizationConfig& config,
                   Tensors& tensors) {
  if (config.format == WeightFormat::awq) return add_awq(layer, name, tensors);
  if (config.format == WeightFormat::gptq || config.format == WeightFormat::gptq_v2)
    return add_gptq(layer, name, config, tensors);
  if (config.holds_floats()) return add_floats(layer, name, config, tensors);
  add_compressed(layer, name, config, tensors);
}

void write_folder(const std::filesystem::path& folder, const Tensors& tensors, const Json& config) {
  std::filesystem::create_directories(folder);
  std::vector<TensorSpec> specs;
  for (const auto& [name, tensor] : tensors) specs.push_back({name, tensor.dtype(), tensor.shape()});
  CheckpointWriter writer(folder, specs);
  for (const auto& [name, tensor] : tensors) writer.write(name, tensor.view());
  writer.finish();
  std::ofstream(folder / "config.json") << config;
}

}  // namespace

TwinFolders::TwinFolders(const TwinOptions& options) {
  const make_model::ModelShape& shape = *make_model::find_shape("tiny");
  const std::filesystem::path source = folder_ / "source";
  std::filesystem::create_directories(source);
  ThreadPool pool(1);
  make_model::write_weights(pool, shape, {options.layout}, 1, source);
  make_model::write_texts(shape, {options.layout}, source);

  const Checkpoint checkpoint(source);
  Tensors plain, packed;
  for (const std::string& full_name : checkpoint.names()) {
    Tensor weight = as_f32(checkpoint.get(full_name));
    const std::string name = full_name.substr(0, full_name.rfind(".weight"));
    const bool is_linear = weight.shape().rank() == 2 && name.starts_with("model.layers.");
    if (!is_linear || options.is_left_alone(name)) {
      packed[full_name] = as_f32(checkpoint.get(full_name));
      plain[full_name] = std::move(weight);
      continue;
    }
    RoundedLayer layer(weight, options.config, options.order_seed(name));
    add_quantized(layer, name, options.config, packed);
    plain[full_name] = std::move(layer.floats);
  }
  Json config = Json::parse(std::ifstream(source / "config.json"));
  config["torch_dtype"] = "float32";
  write_folder(floats(), plain, config);
  config["quantization_config"] = config_json(options.config);
  write_folder(quantized(), packed, config);
}

}  // namespace lmdeploy::testing
