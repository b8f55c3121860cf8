#include "model/key_centers.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "base/mapped_file.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/writer.h"
#include "model/model.h"

namespace lmdeploy {
namespace {

std::string tensor_name(int layer_idx) {
  return fmt::format("model.layers.{}.self_attn.k_center", layer_idx);
}

std::int64_t layer_width(const ModelInfo& info) {
  return std::int64_t{info.kv_layout.num_kv_heads} * info.kv_layout.head_dim;
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
