#include "checkpoint/stored_linear.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "quant/group_order.h"
#include "quant/packed_words.h"

namespace lmdeploy {
namespace {

constexpr const char* kFetchAgain =
    "config.json and the weights do not belong together; fetch the folder again.";

// Collects the tensors of one layer.
class LayerReader {
 public:
  LayerReader(const Checkpoint& checkpoint, const QuantizationConfig& config, const std::string& name,
              std::int64_t n, std::int64_t k, bool headers_only)
      : checkpoint_(checkpoint), config_(config), n_(n), k_(k), headers_only_(headers_only) {
    layer_.name = name;
    layer_.num_outputs = n;
    layer_.format = {config.bits, config.group_size < 0 ? k : config.group_size};
    if (config.holds_floats()) {
      layer_.format.code = WeightCode::e4m3;
      // Of blocks that k ends within: parts of them that it does not.
      layer_.format.group_size = std::gcd(layer_.format.group_size, k);
    }
    if (k % layer_.format.group_size != 0)
      fail(fmt::format("has {} inputs, which groups of {} do not divide", k, layer_.format.group_size));
  }

  StoredLinear read() {
    switch (config_.format) {
      case WeightFormat::awq:
        read_awq();
        break;
      case WeightFormat::gptq:
      case WeightFormat::gptq_v2:
        read_gptq();
        break;
      case WeightFormat::pack_quantized:
      case WeightFormat::int_quantized:
        read_compressed();
        break;
      case WeightFormat::float_quantized:
      case WeightFormat::fp8:
        read_fp8();
        break;
    }
    return std::move(layer_);
  }

 private:
  [[noreturn]] void fail(const std::string& problem) const {
    throw Error(fmt::format("{} of {} {} ({})", layer_.name, checkpoint_.folder().string(), problem,
                            config_.to_string()),
                kFetchAgain);
  }
  bool has(const char* suffix) const { return checkpoint_.contains(layer_.name + suffix); }
  std::int64_t num_groups() const { return k_ / layer_.format.group_size; }

  View get(const char* suffix) {
    if (!has(suffix)) fail(fmt::format("has no tensor {}", suffix + 1));
    layer_.tensor_names.push_back(layer_.name + suffix);
    return checkpoint_.get(layer_.tensor_names.back());
  }
  View get(const char* suffix, DType dtype, const Shape& shape) {
    const View view = get(suffix);
    if (view.dtype != dtype)
      fail(fmt::format("has {} as {}; expected {}", suffix + 1, dtype_name(view.dtype), dtype_name(dtype)));
    check_shape(suffix, view, shape);
    return view;
  }
  View get_scales(const char* suffix) {
    const View view = get(suffix);
    if (view.dtype != DType::f16 && view.dtype != DType::bf16 && view.dtype != DType::f32)
      fail(fmt::format("has {} as {}; expected floats", suffix + 1, dtype_name(view.dtype)));
    layer_.format.scale_dtype = view.dtype;
    return view;
  }
  void check_shape(const char* suffix, const View& view, const Shape& shape) const {
    if (!(view.shape == shape))
      fail(fmt::format("has {} with shape {}; config.json makes it {}", suffix + 1, view.shape.to_string(),
                       shape.to_string()));
  }
  void check_multiple(const char* what, std::int64_t value, std::int64_t divisor) const {
    if (value % divisor != 0) fail(fmt::format("has {} {}, not a multiple of {}", value, what, divisor));
  }

  void read_awq() {
    check_multiple("outputs", n_, StoredLinear::kOutputAlignment);
    const Shape zeros_shape{num_groups(), words_for(n_, layer_.format.bits)};
    AwqTensors tensors;
    tensors.qweight = get(".qweight", DType::i32, {k_, words_for(n_, layer_.format.bits)});
    tensors.scales = get_scales(".scales");
    check_shape(".scales", tensors.scales, {num_groups(), n_});
    if (!config_.symmetric || has(".qzeros")) tensors.qzeros = get(".qzeros", DType::i32, zeros_shape);
    layer_.tensors = tensors;
  }

  void read_gptq() {
    const std::int64_t per_word = numbers_per_word(layer_.format.bits);
    check_multiple("outputs", n_, per_word);
    check_multiple("inputs", k_, per_word);
    GptqTensors tensors;
    tensors.bits = layer_.format.bits;
    tensors.qweight = get(".qweight", DType::i32, {k_ / per_word, n_});
    tensors.scales = get_scales(".scales");
    check_shape(".scales", tensors.scales, {num_groups(), n_});
    tensors.qzeros = get(".qzeros", DType::i32, {num_groups(), n_ / per_word});
    tensors.stored_zeros =
        config_.format == WeightFormat::gptq ? GptqZeros::minus_one : GptqZeros::as_they_are;
    if (config_.symmetric && !headers_only_) tensors.stored_zeros = symmetric_zeros(tensors.qzeros);
    layer_.tensors = tensors;
    if (has(".g_idx")) read_order(get(".g_idx", DType::i32, {k_}));
  }

  // Symmetric zeros are all 2^(bits - 1), so they show how they are stored: some programs write those of
  // gptq_v2 under the name gptq.
  GptqZeros symmetric_zeros(const View& qzeros) const {
    const std::uint32_t middle = layer_.format.bits == 4 ? 0x8888'8888U : 0x8080'8080U;
    const std::uint32_t less_one = layer_.format.bits == 4 ? 0x7777'7777U : 0x7f7f'7f7fU;
    const auto* words = qzeros.as<std::int32_t>();
    const std::int64_t count = qzeros.shape.num_elements();
    const auto all = [&](std::uint32_t word) {
      return std::all_of(words, words + count,
                         [&](std::int32_t found) { return static_cast<std::uint32_t>(found) == word; });
    };
    if (all(less_one)) return GptqZeros::minus_one;
    if (all(middle)) return GptqZeros::as_they_are;
    fail(fmt::format("has zeros other than {}, though sym is true", 1 << (layer_.format.bits - 1)));
  }

  void read_order(const View& g_idx) {
    if (headers_only_) return;
    const std::span<const std::int32_t> groups(g_idx.as<std::int32_t>(), static_cast<std::size_t>(k_));
    auto order = order_by_group(groups, layer_.format.group_size);
    if (!order)
      fail(fmt::format("has a g_idx that does not deal its inputs to {} equal groups", num_groups()));
    layer_.input_order = std::move(*order);
  }

  void read_compressed() {
    CompressedTensors tensors;
    tensors.bits = layer_.format.bits;
    tensors.weight = config_.format == WeightFormat::int_quantized
                         ? get(".weight", DType::i8, {n_, k_})
                         : get(".weight_packed", DType::i32, {n_, words_for(k_, tensors.bits)});
    tensors.scale = compressed_scale(get_scales(".weight_scale"));
    if (!config_.symmetric) tensors.zero_point = compressed_zeros();
    layer_.tensors = tensors;
    if (has(".weight_shape"))
      layer_.tensor_names.push_back(layer_.name + ".weight_shape");  // follows from config.json
    if (!has(".weight_g_idx")) return;
    const View g_idx = get(".weight_g_idx", DType::i32, {k_});
    const auto* groups = g_idx.as<std::int32_t>();
    if (std::find(groups, groups + k_, -1) == groups + k_) read_order(g_idx);  // -1: never set
  }

  View compressed_scale(const View& scale) const {
    if (num_groups() == 1 && scale.shape == Shape{1}) return {scale.data, scale.dtype, Shape{n_, 1}, 0};
    check_shape(".weight_scale", scale, {n_, num_groups()});
    return scale;
  }
  View compressed_zeros() {
    const View zeros = get(".weight_zero_point");
    if (zeros.dtype == DType::i8 && num_groups() == 1 && zeros.shape == Shape{1})
      return {zeros.data, zeros.dtype, Shape{n_, 1}, 0};
    if (zeros.dtype == DType::i8)
      check_shape(".weight_zero_point", zeros, {n_, num_groups()});
    else if (zeros.dtype == DType::i32)
      check_shape(".weight_zero_point", zeros, {words_for(n_, layer_.format.bits), num_groups()});
    else
      fail(fmt::format("has weight_zero_point as {}; expected int32 or int8", dtype_name(zeros.dtype)));
    return zeros;
  }

  // By whatever name: both are factors. Those of the activations belong to the layer and are not used.
  void read_fp8() {
    Fp8Tensors tensors;
    tensors.weight = get(".weight", DType::f8_e4m3, {n_, k_});
    const bool is_inverse =
        has(".weight_scale_inv") ||
        (!has(".weight_scale") && config_.format == WeightFormat::fp8 && config_.group_size > 0);
    const char* const scale_name = is_inverse ? ".weight_scale_inv" : ".weight_scale";
    const View scale = get_scales(scale_name);
    const bool whole_rows = config_.group_size < 0;
    const std::int64_t columns = whole_rows ? k_ : config_.group_size;
    if (whole_rows && scale.shape.num_elements() == 1) {
      tensors.block_outputs = n_;
      tensors.scale = {scale.data, scale.dtype, Shape{1, 1}};
    } else if (whole_rows && scale.shape == Shape{n_}) {
      tensors.scale = {scale.data, scale.dtype, Shape{n_, 1}};
    } else {
      tensors.block_outputs = config_.block_outputs;
      const auto blocks = [](std::int64_t count, std::int64_t size) { return (count + size - 1) / size; };
      check_shape(scale_name, scale, {blocks(n_, config_.block_outputs), blocks(k_, columns)});
      tensors.scale = scale;
    }
    tensors.block_inputs = columns;
    layer_.tensors = tensors;
    for (const char* suffix : {".input_scale", ".activation_scale"})
      if (has(suffix)) layer_.tensor_names.push_back(layer_.name + suffix);
  }

  const Checkpoint& checkpoint_;
  const QuantizationConfig& config_;
  std::int64_t n_, k_;
  bool headers_only_;
  StoredLinear layer_;
};

const char* main_tensor(WeightFormat format) {
  if (format == WeightFormat::pack_quantized) return ".weight_packed";
  return format == WeightFormat::int_quantized ? ".weight_scale" : ".qweight";
}

// Whether the folder holds the layer as floats of 16 or 32 bits.
bool is_plain(const Checkpoint& checkpoint, const QuantizationConfig& config, const std::string& name) {
  if (!checkpoint.contains(name + ".weight")) return false;
  if (config.holds_floats()) {
    const DType dtype = checkpoint.get(name + ".weight").dtype;
    return dtype == DType::f32 || dtype == DType::f16 || dtype == DType::bf16;
  }
  return !checkpoint.contains(name + main_tensor(config.format));
}

}  // namespace

std::optional<StoredLinear> find_stored_linear(const Checkpoint& checkpoint, const QuantizationConfig& config,
                                               const std::string& name, std::int64_t n, std::int64_t k,
                                               bool headers_only) {
  if (is_plain(checkpoint, config, name)) return std::nullopt;
  return LayerReader(checkpoint, config, name, n, k, headers_only).read();
}

}  // namespace lmdeploy
