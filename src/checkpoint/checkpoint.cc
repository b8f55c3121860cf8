#include "checkpoint/checkpoint.h"

#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "checkpoint/json_file.h"
#include "checkpoint/missing_weights.h"

namespace lmdeploy {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMaxIndexBytes = 256 << 20;

// A shard's name comes from a foreign file, so it must not lead out of the folder. (What it names may be a
// symbolic link: the hub's cache is built of them.)
void check_shard_name(const std::string& name, const fs::path& index) {
  const fs::path path(name);
  bool escapes = name.empty() || path.is_absolute() || name.find('\0') != std::string::npos;
  for (const fs::path& part : path) escapes = escapes || part == "..";
  if (escapes)
    throw Error(fmt::format("{} names a shard outside its folder: \"{}\"", index.string(), name),
                "The index is damaged or made to harm; fetch it again from its source.");
}

// tensor name -> file name
std::map<std::string, std::string> load_weight_map(const fs::path& index) {
  const nlohmann::json object = load_json_object(index, kMaxIndexBytes);
  const auto found = object.find("weight_map");
  if (found == object.end() || !found->is_object() || found->empty())
    throw Error(fmt::format("{} has no \"weight_map\" with entries", index.string()),
                "The index is damaged; fetch it again from its source.");
  std::map<std::string, std::string> result;
  for (const auto& [name, file] : found->items()) {
    if (!file.is_string())
      throw Error(fmt::format("{}: the file of tensor {} is not a string", index.string(), name));
    check_shard_name(file.get_ref<const std::string&>(), index);
    result.emplace(name, file.get<std::string>());
  }
  return result;
}

Shape make_shape(const std::vector<std::int64_t>& dims, const std::string& name) {
  switch (dims.size()) {
    case 0:
      return {1};  // a scalar is one element
    case 1:
      return {dims[0]};
    case 2:
      return {dims[0], dims[1]};
    case 3:
      return {dims[0], dims[1], dims[2]};
    case 4:
      return {dims[0], dims[1], dims[2], dims[3]};
    default:
      throw Error(fmt::format("tensor {} has {} dimensions; at most {} are supported", name, dims.size(),
                              Shape::kMaxRank));
  }
}

}  // namespace

Checkpoint::Checkpoint(const fs::path& folder) : folder_(folder), copies_(std::make_unique<AlignedCopies>()) {
  if (!fs::is_directory(folder)) throw Error(fmt::format("{} is not a folder", folder.string()));
  const fs::path single = folder / "model.safetensors";
  const fs::path index = folder / "model.safetensors.index.json";
  if (fs::exists(single))
    add_file(single);
  else if (fs::exists(index))
    open_sharded(index);
  else
    throw missing_weights(folder);
}

void Checkpoint::open_sharded(const fs::path& index) {
  const std::map<std::string, std::string> weight_map = load_weight_map(index);
  std::set<std::string> shards;
  for (const auto& [name, file] : weight_map) shards.insert(file);
  std::map<std::string, std::size_t> file_idx;
  for (const std::string& shard : shards) {
    if (!fs::exists(folder_ / shard))
      throw Error(fmt::format("{} is missing: {} names it as one of {} shards", (folder_ / shard).string(),
                              index.string(), shards.size()),
                  "The download is incomplete; fetch the missing file.");
    file_idx[shard] = files_.size();
    add_file(folder_ / shard);
  }
  for (const auto& [name, file] : weight_map) {
    const auto found = tensors_.find(name);
    if (found == tensors_.end() || found->second.file_idx != file_idx[file])
      throw Error(
          fmt::format("{} places tensor {} in {}, which does not hold it", index.string(), name, file),
          "Index and shards belong to different versions; fetch the folder again.");
  }
}

void Checkpoint::add_file(const fs::path& path) {
  MappedFile file(path);
  for (SafetensorsEntry& header : parse_safetensors(file.bytes(), path.string())) {
    const std::string name = header.name;
    const auto [where, added] = tensors_.try_emplace(name, Entry{files_.size(), std::move(header)});
    if (!added)
      throw Error(fmt::format("tensor {} stands both in {} and in {}", name,
                              files_[where->second.file_idx].path().string(), path.string()),
                  "The shards belong to different versions; fetch the folder again.");
  }
  files_.push_back(std::move(file));
}

const Checkpoint::Entry& Checkpoint::entry(const std::string& name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end())
    throw Error(fmt::format("{} holds no tensor {}", folder_.string(), name),
                "The folder is incomplete, or its config.json belongs to another model.");
  return found->second;
}

View Checkpoint::get(const std::string& name) const {
  if (const auto replaced = replaced_.find(name); replaced != replaced_.end()) return replaced->second;
  const Entry& found = entry(name);
  const MappedFile& file = files_[found.file_idx];
  const std::optional<DType> dtype = find_dtype_of_safetensors(found.header.dtype);
  if (!dtype)
    throw Error(fmt::format("tensor {} in {} has the type {}, which is not supported", name,
                            file.path().string(), found.header.dtype),
                "Supported are F32, F16, BF16, I32, I8, U8 and F8_E4M3.");
  file.check_unchanged();
  // View's pointer is not const because ops write through views; the mapping itself is read-only.
  auto* data = const_cast<std::byte*>(file.bytes(found.header.offset, found.header.bytes).data());
  const View view(data, *dtype, make_shape(found.header.shape, name));
  const bool aligned = reinterpret_cast<std::uintptr_t>(data) % dtype_bytes(*dtype) == 0;
  return aligned ? view : aligned_copy(name, view);
}

View Checkpoint::aligned_copy(const std::string& name, const View& source) const {
  const std::lock_guard lock(copies_->mutex);
  auto found = copies_->tensors.find(name);
  if (found == copies_->tensors.end()) {
    Tensor copy(host_allocator(), source.dtype, source.shape);
    std::memcpy(copy.view().data, source.data, static_cast<std::size_t>(source.bytes()));
    found = copies_->tensors.emplace(name, std::move(copy)).first;
  }
  return found->second.view();
}

void Checkpoint::release(const std::string& name) const {
  const Entry& found = entry(name);
  files_[found.file_idx].release(found.header.offset, found.header.bytes);
  const std::lock_guard lock(copies_->mutex);
  copies_->tensors.erase(name);
}

void Checkpoint::replace(const std::string& name, const View& tensor) {
  CHECK(tensor.shape == make_shape(entry(name).header.shape, name), "tensor {} cannot become {}", name,
        tensor.shape.to_string());
  replaced_[name] = tensor;
}

std::vector<std::string> Checkpoint::names() const {
  std::vector<std::string> result;
  for (const auto& [name, where] : tensors_) result.push_back(name);
  return result;
}

std::int64_t Checkpoint::total_bytes() const {
  std::uint64_t sum = 0;
  for (const auto& [name, where] : tensors_) sum += where.header.bytes;
  return static_cast<std::int64_t>(sum);
}

}  // namespace lmdeploy
