#include "checkpoint/writer.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"
#include "checkpoint/safetensors.h"

namespace lmdeploy {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

constexpr std::uint64_t kHeaderAlignment = 8;  // so that the data behind the header is aligned
constexpr const char* kIndexName = "model.safetensors.index.json";

std::uint64_t bytes_of(const TensorSpec& spec) {
  return static_cast<std::uint64_t>(spec.shape.num_elements()) * dtype_bytes(spec.dtype);
}

// Which tensors stand in which file, and where their data lies in it.
struct Shard {
  std::vector<std::size_t> tensors;
  std::uint64_t data_bytes = 0;
};

std::vector<Shard> plan_shards(const std::vector<TensorSpec>& tensors, std::uint64_t max_shard_bytes) {
  std::vector<Shard> shards(1);
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const std::uint64_t bytes = bytes_of(tensors[i]);
    if (!shards.back().tensors.empty() && shards.back().data_bytes + bytes > max_shard_bytes)
      shards.emplace_back();
    shards.back().tensors.push_back(i);
    shards.back().data_bytes += bytes;
  }
  // Wider types first, as the format's own library orders them: every tensor is then aligned to its type.
  for (Shard& shard : shards)
    std::stable_sort(shard.tensors.begin(), shard.tensors.end(), [&](std::size_t a, std::size_t b) {
      return dtype_bytes(tensors[a].dtype) > dtype_bytes(tensors[b].dtype);
    });
  return shards;
}

std::string header_of(const Shard& shard, const std::vector<TensorSpec>& tensors) {
  ordered_json header = {{"__metadata__", {{"format", "pt"}}}};
  std::uint64_t offset = 0;
  for (const std::size_t i : shard.tensors) {
    const TensorSpec& spec = tensors[i];
    ordered_json shape = ordered_json::array();
    for (int dim = 0; dim < spec.shape.rank(); ++dim) shape.push_back(spec.shape[dim]);
    const std::uint64_t end = offset + bytes_of(spec);
    header[spec.name] = {
        {"dtype", safetensors_spelling(spec.dtype)}, {"shape", shape}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.dump();
  text.resize((text.size() + kHeaderAlignment - 1) / kHeaderAlignment * kHeaderAlignment, ' ');
  std::uint64_t length = text.size();
  std::string prefix(sizeof length, '\0');
  std::memcpy(prefix.data(), &length, sizeof length);
  return prefix + text;
}

std::string file_name(std::size_t shard_idx, std::size_t num_shards) {
  if (num_shards == 1) return "model.safetensors";
  return fmt::format("model-{:05}-of-{:05}.safetensors", shard_idx + 1, num_shards);
}

// Before any work: the files together must fit, not only each of them.
void check_free_space(const fs::path& folder, std::uint64_t needed) {
  std::error_code failure;
  const fs::space_info space = fs::space(folder, failure);
  if (failure || space.available >= needed) return;
  throw Error(fmt::format("{} has {} bytes free, the weights take {}: {} are missing", folder.string(),
                          space.available, needed, needed - space.available),
              "Free space there or choose a folder on another disk.");
}

}  // namespace

CheckpointWriter::CheckpointWriter(fs::path folder, const std::vector<TensorSpec>& tensors,
                                   std::uint64_t max_shard_bytes)
    : folder_(std::move(folder)) {
  const std::vector<Shard> shards = plan_shards(tensors, max_shard_bytes);
  for (const Shard& shard : shards) total_bytes_ += shard.data_bytes;
  check_free_space(folder_, total_bytes_);
  for (std::size_t file_idx = 0; file_idx < shards.size(); ++file_idx) {
    const Shard& shard = shards[file_idx];
    const std::string header = header_of(shard, tensors);
    files_.emplace_back(folder_ / file_name(file_idx, shards.size()), header.size() + shard.data_bytes);
    files_.back().write_at(0, std::as_bytes(std::span(header)));
    std::uint64_t offset = header.size();
    for (const std::size_t i : shard.tensors) {
      const std::uint64_t bytes = bytes_of(tensors[i]);
      const bool added = slots_.emplace(tensors[i].name, Slot{tensors[i], file_idx, offset, bytes}).second;
      CHECK(added, "tensor {} was declared twice", tensors[i].name);
      offset += bytes;
    }
  }
}

CheckpointWriter::Slot& CheckpointWriter::slot(const std::string& name) {
  const auto found = slots_.find(name);
  CHECK(found != slots_.end(), "tensor {} was not declared", name);
  return found->second;
}

void CheckpointWriter::write(const std::string& name, std::span<const std::byte> bytes) {
  Slot& where = slot(name);
  CHECK(bytes.size() <= where.bytes - where.num_written, "tensor {} has {} bytes, more were written", name,
        where.bytes);
  files_[where.file_idx].write_at(where.offset + where.num_written, bytes);
  where.num_written += bytes.size();
}

void CheckpointWriter::write(const std::string& name, const View& tensor) {
  const TensorSpec& spec = slot(name).spec;
  CHECK(tensor.dtype == spec.dtype && tensor.shape == spec.shape && tensor.contiguous(),
        "tensor {} was declared as {} {}", name, dtype_name(spec.dtype), spec.shape.to_string());
  write(name, {static_cast<const std::byte*>(tensor.data), static_cast<std::size_t>(tensor.bytes())});
}

void CheckpointWriter::write_index() const {
  ordered_json weight_map = ordered_json::object();
  for (const auto& [name, where] : slots_)
    weight_map[name] = files_[where.file_idx].path().filename().string();
  const ordered_json index = {{"metadata", {{"total_size", total_bytes_}}}, {"weight_map", weight_map}};
  write_text_file(folder_ / kIndexName, index.dump(2) + "\n");
}

void CheckpointWriter::finish() {
  for (const auto& [name, where] : slots_)
    CHECK(where.num_written == where.bytes, "tensor {}: {} of {} bytes were written", name, where.num_written,
          where.bytes);
  for (OutputFile& file : files_) file.sync();
  for (OutputFile& file : files_) file.commit();
  if (files_.size() > 1) write_index();
  sync_folder(folder_);
}

void write_safetensors(const fs::path& file, const std::vector<NamedTensor>& tensors) {
  std::vector<TensorSpec> specs;
  for (const auto& [name, tensor] : tensors)
    specs.push_back({name, tensor.view().dtype, tensor.view().shape});
  const Shard shard = plan_shards(specs, std::numeric_limits<std::uint64_t>::max()).front();
  const std::string header = header_of(shard, specs);
  OutputFile output(file, header.size() + shard.data_bytes);
  output.write_at(0, std::as_bytes(std::span(header)));
  std::uint64_t offset = header.size();
  for (const std::size_t i : shard.tensors) {
    const View view = tensors[i].tensor.view();
    const auto bytes = static_cast<std::size_t>(view.bytes());
    output.write_at(offset, {static_cast<const std::byte*>(view.data), bytes});
    offset += bytes;
  }
  output.commit();
}

}  // namespace lmdeploy
