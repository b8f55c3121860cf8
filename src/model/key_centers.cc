#include "model/key_centers.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <iterator>
#include <numeric>

#include "base/error.h"
#include "base/mapped_file.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/writer.h"
#include "model/model.h"
#include "ops/ops.h"

namespace lmdeploy {
namespace {

std::string tensor_name(int layer_idx) {
  return fmt::format("model.layers.{}.self_attn.k_center", layer_idx);
}

std::int64_t layer_width(const ModelInfo& info) {
  return std::int64_t{info.kv_layout.num_kv_heads} * info.kv_layout.head_dim;
}

std::vector<std::int32_t> counting(std::size_t count) {
  std::vector<std::int32_t> values(count);
  std::iota(values.begin(), values.end(), 0);
  return values;
}

// The beginning of the text, without ids that another model's tokenizer gave.
std::vector<std::int32_t> usable_ids(const ModelInfo& info, std::span<const std::int32_t> ids) {
  std::vector<std::int32_t> usable;
  std::copy_if(ids.begin(), ids.end(), std::back_inserter(usable),
               [&](std::int32_t id) { return id >= 0 && id < info.vocab_size; });
  usable.resize(std::min(usable.size(), static_cast<std::size_t>(info.max_position_embeddings)));
  return usable;
}

// Fills blocks 0, 1, ... of the pool with the tokens' keys: the slot of a token is its position.
void fill(Ctx& ctx, const Model& model, KvPool& pool, std::span<const std::int32_t> token_ids) {
  const auto num_tokens = static_cast<std::int32_t>(token_ids.size());
  const std::vector<std::int32_t> positions = counting(token_ids.size());
  const std::vector<std::int32_t> blocks = counting(static_cast<std::size_t>(pool.num_blocks()));
  const std::int32_t starts[] = {0, num_tokens};
  Batch batch;
  batch.token_ids = token_ids;
  batch.positions = positions;
  batch.query_starts = starts;
  batch.context_lens = {&num_tokens, 1};
  batch.block_tables = blocks;
  batch.max_blocks = static_cast<std::int32_t>(blocks.size());
  model.forward(ctx, batch, pool, View());
}

void add_mean(const View& keys, float* mean) {  // keys: [num_tokens, width] f32
  for (std::int64_t t = 0; t < keys.dim(0); t++)
    for (std::int64_t c = 0; c < keys.dim(1); c++)
      mean[c] += keys.row<float>(t)[c] / static_cast<float>(keys.dim(0));
}

const SafetensorsEntry& find_entry(const std::vector<SafetensorsEntry>& entries, const std::string& name,
                                   const std::string& file) {
  const auto found =
      std::find_if(entries.begin(), entries.end(), [&](const auto& entry) { return entry.name == name; });
  if (found == entries.end())
    throw Error(fmt::format("{} has no tensor {}", file, name),
                "Delete the file, and the centres are measured at load.");
  return *found;
}

}  // namespace

KeyCenters measure_key_centers(Ctx& ctx, const Model& model, std::span<const std::int32_t> text_ids) {
  const ModelInfo& info = model.info();
  CHECK(info.kv_layout.quant_bits == 0, "keys are measured in a cache of {} bits", info.kv_layout.quant_bits);
  const auto start = std::chrono::steady_clock::now();
  const std::vector<std::int32_t> token_ids = usable_ids(info, text_ids);
  const std::vector<std::int32_t> slots = counting(token_ids.size());
  const auto num_tokens = std::ssize(token_ids);
  if (num_tokens == 0) return {{}, "nothing: the tokenizer belongs to another model"};
  KvPool pool(*ctx.allocator, info.kv_layout, info.num_layers,
              (num_tokens + info.kv_layout.block_len - 1) / info.kv_layout.block_len);
  fill(ctx, model, pool, token_ids);

  const std::int64_t width = layer_width(info);
  const Tensor keys(*ctx.allocator, DType::f32, Shape{num_tokens, width});
  const View heads(keys.view().data, DType::f32,
                   Shape{num_tokens, info.kv_layout.num_kv_heads, info.kv_layout.head_dim});
  KeyCenters centers;
  centers.values.resize(static_cast<std::size_t>(info.num_layers * width));
  for (int i = 0; i < info.num_layers; i++) {
    ops::read_keys(ctx, pool.layer(i), slots, heads);
    add_mean(keys, centers.values.data() + i * width);
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  centers.origin = fmt::format("{} tokens of built-in text in {:.2f} s", num_tokens, seconds.count());
  return centers;
}

KeyCenters read_key_centers(const std::filesystem::path& folder, const Model& model) {
  const std::string path = (folder / kKeyCentersFile).string();
  const MappedFile file(path);
  const std::vector<SafetensorsEntry> entries = parse_safetensors(file.bytes(), path);
  const ModelInfo& info = model.info();
  const std::vector<std::int64_t> shape{info.kv_layout.num_kv_heads, info.kv_layout.head_dim};
  const auto width = static_cast<std::size_t>(layer_width(info));
  KeyCenters centers{std::vector<float>(static_cast<std::size_t>(info.num_layers) * width), kKeyCentersFile};
  for (int i = 0; i < info.num_layers; i++) {
    const SafetensorsEntry& entry = find_entry(entries, tensor_name(i), path);
    float* to = centers.values.data() + static_cast<std::size_t>(i) * width;
    const bool fits = entry.dtype == "F32" && entry.shape == shape;
    if (fits) std::memcpy(to, file.bytes().data() + entry.offset, width * sizeof(float));
    if (!fits || !std::all_of(to, to + width, [](float x) { return std::isfinite(x); }))
      throw Error(fmt::format("{}: {} is {} [{}]; expected finite F32 [{}]", path, entry.name, entry.dtype,
                              fmt::join(entry.shape, ", "), fmt::join(shape, ", ")),
                  "The file belongs to another model; delete it, and the centres are measured at load.");
  }
  return centers;
}

void write_key_centers(const std::filesystem::path& folder, const Model& model, const KeyCenters& centers) {
  const ModelInfo& info = model.info();
  const std::int64_t width = layer_width(info);
  CHECK(std::ssize(centers.values) == info.num_layers * width, "{} centres of {} layers of {}",
        centers.values.size(), info.num_layers, width);
  std::vector<NamedTensor> tensors;
  for (int i = 0; i < info.num_layers; i++) {
    Tensor tensor(host_allocator(), DType::f32, Shape{info.kv_layout.num_kv_heads, info.kv_layout.head_dim});
    std::copy_n(centers.values.data() + i * width, width, tensor.view().as<float>());
    tensors.push_back({tensor_name(i), std::move(tensor)});
  }
  write_safetensors(folder / kKeyCentersFile, tensors);
}

}  // namespace lmdeploy
