#include "quantize/output_folder.h"

#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "checkpoint/json_file.h"
#include "model/decoder_reader.h"

namespace lmdeploy {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

constexpr std::uint64_t kMaxConfigBytes = 16 << 20;

// A tensor of the result and where it lies.
struct Piece {
  std::string name;
  const Checkpoint* from;
};

std::vector<Checkpoint> finished_layers(const WorkFolder& work) {
  std::vector<Checkpoint> layers;
  for (std::int64_t i = 0; i < work.num_finished_layers(); i++) layers.emplace_back(work.layer_folder(i));
  return layers;
}

std::set<std::string> quantized_weights(const BlockSource& source) {
  std::set<std::string> names;
  for (std::int64_t i = 0; i < source.config.num_hidden_layers; i++)
    for (const LinearGroup& group : source.architecture.linear_groups)
      for (const std::string& linear : group.linears)
        names.insert(fmt::format("{}{}.weight", layer_prefix(i), linear));
  return names;
}

// Sorted by name.
std::vector<Piece> pieces(const BlockSource& source, const std::vector<Checkpoint>& layers) {
  std::map<std::string, const Checkpoint*> from;
  const std::set<std::string> replaced = quantized_weights(source);
  for (const std::string& name : source.checkpoint->names())
    if (!replaced.contains(name)) from[name] = source.checkpoint.get();
  for (const Checkpoint& layer : layers)
    for (const std::string& name : layer.names()) from[name] = &layer;
  std::vector<Piece> result;
  for (const auto& [name, checkpoint] : from) result.push_back({name, checkpoint});
  return result;
}

std::int64_t write_pieces(const std::vector<Piece>& all, const fs::path& target,
                          const OutputProgress& progress) {
  std::vector<TensorSpec> specs;
  for (const Piece& piece : all) {
    const View tensor = piece.from->get(piece.name);
    specs.push_back({piece.name, tensor.dtype, tensor.shape});
  }
  CheckpointWriter writer(target, specs);
  const auto total = static_cast<std::int64_t>(writer.total_bytes());
  std::int64_t done = 0;
  for (const Piece& piece : all) {
    const View tensor = piece.from->get(piece.name);
    writer.write(piece.name, tensor);
    done += tensor.bytes();
    piece.from->release(piece.name);
    if (progress) progress(done, total);
  }
  writer.finish();
  return total;
}

// Files with weights, in whatever form: they are what the result replaces.
bool holds_weights(const fs::path& file) {
  static const std::set<std::string> kExtensions{".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".gguf"};
  const std::string name = file.filename().string();
  return kExtensions.contains(file.extension().string()) || name.ends_with(".safetensors.index.json") ||
         name.ends_with(".bin.index.json");
}

void copy_other_files(const fs::path& source, const fs::path& target) {
  for (const auto& entry : fs::directory_iterator(source)) {
    const fs::path name = entry.path().filename();
    if (!entry.is_regular_file() || name == "config.json" || holds_weights(name)) continue;
    std::error_code failure;
    fs::copy_file(entry.path(), target / name, failure);  // a hub's link becomes a file
    if (failure)
      throw Error(
          fmt::format("cannot copy {} to {}: {}", entry.path().string(), target.string(), failure.message()),
          "Free space there or choose a folder on another disk.");
  }
}

void write_config(const BlockSource& source, const Recipe& recipe, const fs::path& target) {
  const fs::path file = source.checkpoint->folder() / "config.json";
  ordered_json config = ordered_json::parse(read_text_file(file, kMaxConfigBytes));
  const std::string& head = source.architecture.outer.head;
  config["quantization_config"] = quantization_config(recipe, head.substr(0, head.rfind('.')));
  write_text_file(target / "config.json", config.dump(2) + "\n");
}

}  // namespace

std::int64_t write_model_folder(const BlockSource& source, const Recipe& recipe, const WorkFolder& work,
                                const fs::path& target, const OutputProgress& progress) {
  const std::vector<Checkpoint> layers = finished_layers(work);
  const std::int64_t bytes = write_pieces(pieces(source, layers), target, progress);
  copy_other_files(source.checkpoint->folder(), target);
  write_config(source, recipe, target);
  return bytes;
}

void write_statistics_folder(const WorkFolder& work, const fs::path& target) {
  const std::vector<Checkpoint> layers = finished_layers(work);
  std::vector<Piece> all;
  for (const Checkpoint& layer : layers)
    for (const std::string& name : layer.names()) all.push_back({name, &layer});
  write_pieces(all, target, {});
  fs::rename(target / "model.safetensors", target / "activation_statistics.safetensors");
}

}  // namespace lmdeploy
