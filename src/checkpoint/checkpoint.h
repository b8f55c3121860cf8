#pragma once
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/mapped_file.h"
#include "tensor/tensor.h"

namespace lmdeploy {

// The safetensors files of a model folder: model.safetensors, or the shards that model.safetensors.index.json
// names. Every header is checked before the constructor returns: offsets inside the file, in order, without
// overlaps or holes, shapes that do not overflow and match their byte counts, shards that exist and lie in
// the folder.
class Checkpoint {
 public:
  // Throws Error: no weights, pickled weights (with the command that converts them), a git-lfs pointer,
  // damage.
  explicit Checkpoint(const std::filesystem::path& folder);

  bool contains(const std::string& name) const { return tensors_.count(name) != 0; }
  // The tensor's bytes where they are mapped: read-only in fact. Throws Error where the name is missing.
  View get(const std::string& name) const;
  // Gives the tensor's resident pages back once it was copied elsewhere.
  void release(const std::string& name) const;
  std::vector<std::string> names() const;  // sorted
  std::int64_t total_bytes() const;        // of all tensors
  const std::filesystem::path& folder() const noexcept { return folder_; }

 private:
  struct Entry {
    std::size_t file_idx;
    std::uint64_t offset;  // bytes from the start of the file
    DType dtype;
    Shape shape;
  };
  std::filesystem::path folder_;
  std::vector<MappedFile> files_;
  std::map<std::string, Entry> tensors_;
};

}  // namespace lmdeploy
