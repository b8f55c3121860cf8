#include "model/weight_reader.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "ops/ops.h"

namespace lmdeploy {
namespace {

bool is_float(DType dtype) {
  return dtype == DType::f32 || dtype == DType::bf16 || dtype == DType::f16;
}

// Buffers that old versions of transformers saved with the weights; they follow from config.json.
bool is_derived(const std::string& name) {
  return name.ends_with("rotary_emb.inv_freq") || name.ends_with("attn.masked_bias");
}

// What activations and the KV cache were meant to be divided by before they are rounded to 8 bits.
bool is_activation_scale(const std::string& name) {
  constexpr std::string_view kSuffixes[] = {".input_scale", ".activation_scale", ".output_scale",
                                            ".q_scale",     ".k_scale",          ".v_scale",
                                            ".kv_scale",    ".prob_scale",       ".attn_scale"};
  return std::any_of(std::begin(kSuffixes), std::end(kSuffixes),
                     [&](std::string_view suffix) { return name.ends_with(suffix); });
}

// A head is rounded in the largest of the usual groups that divides its inputs.
std::int64_t head_group_size(std::int64_t k) {
  for (const std::int64_t group_size : {128, 64, 32})
    if (k % group_size == 0) return group_size;
  return k;
}

// [n] as the [1, n] that ops::cast takes.
View as_row(const View& vector, std::int64_t begin, std::int64_t count) {
  auto* data = static_cast<char*>(vector.data) + begin * static_cast<std::int64_t>(dtype_bytes(vector.dtype));
  return {data, vector.dtype, Shape{1, count}};
}

// Where numbers are converted on their way from a file, whatever the device.
Ctx on_host(const Ctx& ctx) {
  Ctx host;
  host.cpu_isa = ctx.cpu_isa;
  host.pool = ctx.pool;
  host.allocator = &host_allocator();
  return host;
}

}  // namespace

WeightReader::WeightReader(Ctx& ctx, std::shared_ptr<const Checkpoint> checkpoint, WeightFormats formats)
    : ctx_(ctx),
      host_(on_host(ctx)),
      checkpoint_(std::move(checkpoint)),
      formats_(std::move(formats)),
      unpacker_(ctx) {}

View WeightReader::mapped(const std::string& name, const Shape& expected) {
  const std::string folder = checkpoint_->folder().string();
  if (!checkpoint_->contains(name))
    throw Error(
        fmt::format("{} has no tensor {} (expected with shape {})", folder, name, expected.to_string()),
        "The folder is incomplete or config.json names another architecture; fetch it again.");
  const View view = checkpoint_->get(name);
  if (!is_float(view.dtype))
    throw Error(fmt::format("tensor {} of {} is {}; expected float32, bfloat16 or float16", name, folder,
                            dtype_name(view.dtype)),
                "config.json does not say how this folder is quantised; use one whose config.json has its "
                "quantization_config.");
  if (!(view.shape == expected))
    throw Error(fmt::format("tensor {} of {} has shape {}; config.json makes it {}", name, folder,
                            view.shape.to_string(), expected.to_string()),
                "config.json and the weights do not belong together; fetch the folder again.");
  read_.insert(name);
  return view;
}

std::vector<WeightReader::Source> WeightReader::stack(std::span<const NamedRows> parts) {
  std::vector<Source> sources;
  std::int64_t row = 0;
  for (const NamedRows& part : parts) {
    sources.push_back({part, {{0, part.num_rows, row}}, {}});
    row += part.num_rows;
  }
  return sources;
}

std::int64_t WeightReader::total_rows(std::span<const Source> sources) {
  std::int64_t sum = 0;
  for (const Source& source : sources) sum += source.tensor.num_rows;
  return sum;
}

std::vector<WeightReader::Source> WeightReader::named(std::span<const Source> sources,
                                                      const std::string& suffix) {
  std::vector<Source> result(sources.begin(), sources.end());
  for (Source& source : result) source.tensor.name += suffix;
  return result;
}

Linear WeightReader::linear(std::span<const NamedRows> parts, std::int64_t k, bool has_bias) {
  return linear(stack(parts), k, has_bias);
}

Linear WeightReader::linear(const std::string& name, std::int64_t n, std::int64_t k, bool has_bias) {
  const NamedRows part{name, n};
  return linear(stack({&part, 1}), k, has_bias);
}

Linear WeightReader::linear(const NamedRows& source, std::int64_t k, std::span<const RowMove> moves,
                            bool has_bias) {
  return linear(std::vector<Source>{{source, {moves.begin(), moves.end()}, {}}}, k, has_bias);
}

bool WeightReader::same_format(const Source& a, const Source& b) {
  if (!a.stored || !b.stored) return !a.stored && !b.stored;
  return a.stored->format == b.stored->format && a.stored->input_order == b.stored->input_order;
}

Linear WeightReader::linear(std::vector<Source> layers, std::int64_t k, bool has_bias) {
  for (Source& layer : layers)
    if (formats_.quantization)
      layer.stored = find_stored_linear(*checkpoint_, *formats_.quantization, layer.tensor.name,
                                        layer.tensor.num_rows, k, formats_.headers_only);
  Linear result;
  if (has_bias) result.bias = vector(named(layers, ".bias"));
  std::int64_t first_row = 0;
  for (auto first = layers.begin(); first != layers.end();) {
    const auto last = std::find_if_not(first, layers.end(),
                                       [&](const Source& layer) { return same_format(*first, layer); });
    for (auto layer = first; layer != last; ++layer)
      for (RowMove& move : layer->moves) move.target_row -= first_row;
    result.parts.push_back(part({first, last}, k));
    first_row += result.parts.back().weight.n;
    first = last;
  }
  return result;
}

LinearPart WeightReader::part(std::span<const Source> layers, std::int64_t k) {
  if (!layers.front().stored) return {matrix(named(layers, ".weight"), k, formats_.rounding), {}};
  const StoredLinear& stored = *layers.front().stored;
  LinearPart result;
  const ops::MatrixFormat format{formats_.dtype, stored.format, activations(stored.format)};
  result.weight = ops::make_packed_matrix(ctx_, format, total_rows(layers), k);
  for (const Source& layer : layers) {
    unpacker_.pack(*layer.stored, layer.moves, result.weight);
    finish(*layer.stored);
  }
  if (!stored.input_order.empty()) {
    const Tensor order(host_allocator(), DType::i32, Shape{k});
    std::copy(stored.input_order.begin(), stored.input_order.end(), order.view().as<std::int32_t>());
    result.input_order = to_device(order);
  }
  return result;
}

// W8A8 says how activations are rounded; where only weights are quantised it is the user's choice, unless
// they are floats.
ops::Activations WeightReader::activations(const QuantFormat& format) const {
  if (format.code == WeightCode::e4m3) return ops::Activations::as_they_are;
  return formats_.quantization->int8_activations ? ops::Activations::int8_per_row : formats_.activations;
}

void WeightReader::finish(const StoredLinear& layer) {
  for (const std::string& name : layer.tensor_names) {
    read_.insert(name);
    checkpoint_->release(name);
  }
}

// Shapes are checked before memory is taken for them: a config.json that does not belong to the weights is
// then named as such, however large its numbers.
ops::PackedMatrix WeightReader::matrix(std::span<const Source> tensors, std::int64_t k,
                                       const std::optional<QuantFormat>& rounding) {
  for (const Source& source : tensors) mapped(source.tensor.name, Shape{source.tensor.num_rows, k});
  const ops::MatrixFormat format{formats_.dtype, rounding, formats_.activations};
  ops::PackedMatrix result = ops::make_packed_matrix(ctx_, format, total_rows(tensors), k);
  for (const Source& source : tensors)
    for_slices(source.tensor.name, source.moves, [&](const View& rows, std::int64_t target_row) {
      if (rounding)
        ops::quantize_rows(ctx_, rows, result, target_row);
      else
        ops::pack_rows(ctx_, rows, result, target_row);
    });
  return result;
}

Linear WeightReader::head(const std::string& name, std::int64_t n, std::int64_t k) {
  const bool floats = checkpoint_->contains(name) && is_float(checkpoint_->get(name).dtype);
  if (!floats) return linear(name.substr(0, name.rfind(".weight")), n, k, false);
  std::optional<QuantFormat> rounding;
  if (formats_.head_bits == 8) rounding = QuantFormat{8, head_group_size(k), DType::f16};
  const NamedRows source{name, n};
  Linear result;
  result.parts.push_back({matrix(stack({&source, 1}), k, rounding), {}});
  return result;
}

template <class Take>
void WeightReader::for_slices(const std::string& name, std::span<const RowMove> moves, const Take& take) {
  const View all = checkpoint_->get(name);
  const std::int64_t row_bytes = all.dim(1) * static_cast<std::int64_t>(dtype_bytes(all.dtype));
  const std::int64_t slice_rows = std::max<std::int64_t>(1, kSliceBytes / row_bytes);
  std::int64_t resident_rows = 0;
  for (const RowMove& move : moves) {
    for (std::int64_t done = 0; done < move.num_rows;) {
      const std::int64_t count = std::min(slice_rows, move.num_rows - done);
      take(checkpoint_->get(name).rows(move.source_row + done, count), move.target_row + done);
      done += count;
      resident_rows += count;
      if (resident_rows >= slice_rows) {
        checkpoint_->release(name);
        resident_rows = 0;
      }
    }
  }
  checkpoint_->release(name);
}

Tensor WeightReader::table(const std::string& name, std::int64_t n, std::int64_t k) {
  Tensor result(*ctx_.allocator, mapped(name, Shape{n, k}).dtype, Shape{n, k});
  const RowMove all{0, n, 0};
  for_slices(name, {&all, 1}, [&](const View& rows, std::int64_t target_row) {
    ops::copy_from_host(ctx_, rows, result.view().rows(target_row, rows.dim(0)));
  });
  return result;
}

Tensor WeightReader::vector(std::span<const Source> tensors) {
  for (const Source& source : tensors) mapped(source.tensor.name, Shape{source.tensor.num_rows});
  Tensor values(host_allocator(), DType::f32, Shape{total_rows(tensors)});
  for (const Source& source : tensors) copy(source.tensor.name, values, source.moves);
  return to_device(values);
}

Tensor WeightReader::to_device(const View& host) {
  Tensor result(*ctx_.allocator, host.dtype, host.shape);
  ops::copy_from_host(ctx_, host, result);
  return result;
}

Tensor WeightReader::vector(const std::string& name, std::int64_t n) {
  const NamedRows part{name, n};
  return vector(stack({&part, 1}));
}

void WeightReader::copy(const std::string& name, Tensor& target, std::span<const RowMove> moves) {
  const View source = checkpoint_->get(name);
  for (const RowMove& move : moves)
    ops::cast(host_, as_row(source, move.source_row, move.num_rows),
              as_row(target, move.target_row, move.num_rows));
  checkpoint_->release(name);
}

void WeightReader::warn_about_unread() const {
  std::vector<std::string> unread;
  std::int64_t num_scales = 0;
  for (std::string& name : checkpoint_->names()) {
    if (is_activation_scale(name))
      num_scales++;
    else if (!read_.contains(name) && !is_derived(name))
      unread.push_back(std::move(name));
  }
  if (num_scales > 0)
    log::info(
        "{}: {} scales of activations or of the KV cache are not used: activations are computed in {} bits, "
        "the cache is what --quant-policy says",
        checkpoint_->folder().string(), num_scales, formats_.dtype == DType::f32 ? 32 : 16);
  if (unread.empty()) return;
  log::warn("{}: {} tensors have no place in this architecture and are ignored, the first is {}",
            checkpoint_->folder().string(), unread.size(), unread.front());
}

}  // namespace lmdeploy
