#pragma once
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/mapped_file.h"
#include "checkpoint/safetensors.h"
#include "tensor/tensor.h"

namespace lmdeploy {

// The safetensors files of a model folder: model.safetensors, or the shards that model.safetensors.index.json
// names. Every header is checked before the constructor returns: offsets inside the file, in order, without
// overlaps or holes, shapes that do not overflow and match their byte counts, shards that exist and lie in
// the folder. Safe to read from several threads.
class Checkpoint {
 public:
  // Throws Error: no weights, pickled weights (with the command that converts them), a git-lfs pointer,
  // damage.
  explicit Checkpoint(const std::filesystem::path& folder);

  bool contains(const std::string& name) const { return tensors_.count(name) != 0; }
  // The tensor's bytes where they are mapped: read-only in fact, aligned to the dtype. Throws Error where the
  // name is missing, the type (I64, F64, F8_E4M3, BOOL, ...) or the rank (more than 4) is not one that we
  // hold, or the file changed its size since it was mapped.
  View get(const std::string& name) const;
  // Gives the tensor's resident pages back once it was copied elsewhere; its views stay valid unless the file
  // held it misaligned.
  void release(const std::string& name) const;
  // From now on get(name) gives `tensor`, which the caller keeps alive, in place of the file's: of the same
  // shape, any type. Not while another thread reads.
  void replace(const std::string& name, const View& tensor);
  void restore(const std::string& name) { replaced_.erase(name); }
  std::vector<std::string> names() const;  // sorted
  std::int64_t total_bytes() const;        // of all tensors
  const std::filesystem::path& folder() const noexcept { return folder_; }

 private:
  struct Entry {
    std::size_t file_idx;
    SafetensorsEntry header;
  };
  // Some writers do not pad the header, so a tensor may begin at an odd address: it is copied on first use.
  struct AlignedCopies {
    std::mutex mutex;
    std::map<std::string, Tensor> tensors;
  };

  void open_sharded(const std::filesystem::path& index);
  void add_file(const std::filesystem::path& file);
  const Entry& entry(const std::string& name) const;
  View aligned_copy(const std::string& name, const View& source) const;

  std::filesystem::path folder_;
  std::vector<MappedFile> files_;
  std::map<std::string, Entry> tensors_;
  std::map<std::string, View> replaced_;
  std::unique_ptr<AlignedCopies> copies_;
};

}  // namespace lmdeploy
