#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/output_file.h"
#include "tensor/tensor.h"

namespace lmdeploy {

// One tensor of a checkpoint that is to be written.
struct TensorSpec {
  std::string name;
  DType dtype;
  Shape shape;
};

// Writes model.safetensors, or shards with model.safetensors.index.json, into a folder. All tensors are
// declared first, because a safetensors header stands before its data; their bytes then stream in any order.
// Files get their names in finish(), the index last, so that a reader never meets half a model; without it
// the destructor removes what was written. One thread at a time.
class CheckpointWriter {
 public:
  static constexpr std::uint64_t kDefaultShardBytes = 5'000'000'000;

  // Shards hold the tensors in the order given, each up to max_shard_bytes of data (a larger tensor gets its
  // own). Throws Error where the folder cannot be written or its disk has too little room.
  CheckpointWriter(std::filesystem::path folder, const std::vector<TensorSpec>& tensors,
                   std::uint64_t max_shard_bytes = kDefaultShardBytes);

  // Appends the next bytes of a tensor: all at once or in pieces.
  void write(const std::string& name, std::span<const std::byte> bytes);
  void write(const std::string& name, const View& tensor);  // contiguous, dtype and shape as declared

  // Every tensor must be complete. To the disk, then under the final names.
  void finish();

  std::uint64_t total_bytes() const noexcept { return total_bytes_; }  // of all tensors

 private:
  struct Slot {
    TensorSpec spec;
    std::size_t file_idx;
    std::uint64_t offset;  // bytes from the start of the file
    std::uint64_t bytes;
    std::uint64_t num_written = 0;
  };
  Slot& slot(const std::string& name);
  void write_index() const;

  std::filesystem::path folder_;
  std::uint64_t total_bytes_ = 0;
  std::vector<OutputFile> files_;
  std::map<std::string, Slot> slots_;
};

struct NamedTensor {
  std::string name;
  Tensor tensor;
};
// One small file, beside a model's weights, at once.
void write_safetensors(const std::filesystem::path& file, const std::vector<NamedTensor>& tensors);

}  // namespace lmdeploy
