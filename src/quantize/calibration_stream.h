#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>

#include "base/mapped_file.h"
#include "checkpoint/output_file.h"
#include "quantize/calibration_samples.h"
#include "tensor/ctx.h"
#include "tensor/tensor.h"

namespace lmdeploy {

// Hidden states of all samples between two layers, rounded to bf16, as a bf16 model in transformers rounds
// them there. Either in a file: the system keeps it in memory as far as there is room, none of it counts as
// this process's, and a run that is cut off finds it again. Or in memory of the device that computes them.
struct StreamShape {
  std::int64_t num_samples = 0;
  std::int64_t seqlen = 0;
  std::int64_t hidden_size = 0;

  std::int64_t sample_bytes() const noexcept { return seqlen * hidden_size * 2; }
  std::uint64_t bytes() const noexcept { return static_cast<std::uint64_t>(num_samples * sample_bytes()); }
};

class StreamReader {
 public:
  StreamReader(const std::filesystem::path& path, const StreamShape& shape);  // throws Error: another size
  // memory: [num_samples * seqlen, hidden_size] bf16 of the device that reads.
  StreamReader(const View& memory, const StreamShape& shape) : shape_(shape), memory_(memory) {}

  void read(Ctx& ctx, std::int64_t sample_idx, const View& hidden) const;  // [seqlen, hidden_size] f32

 private:
  StreamShape shape_;
  std::optional<MappedFile> file_;
  View memory_;  // where there is no file
};

// A file gets its name in commit(). Memory may be what is read of the same samples, which it then replaces
// one by one.
class StreamWriter {
 public:
  StreamWriter(const std::filesystem::path& path, const StreamShape& shape);  // throws Error: a full disk
  StreamWriter(const View& memory, const StreamShape& shape) : shape_(shape), memory_(memory) {}

  void write(Ctx& ctx, std::int64_t sample_idx, const View& hidden);  // [seqlen, hidden_size] f32
  void commit() {
    if (file_) file_->commit();
  }

 private:
  StreamShape shape_;
  std::optional<OutputFile> file_;
  View memory_;  // where there is no file
};

}  // namespace lmdeploy
