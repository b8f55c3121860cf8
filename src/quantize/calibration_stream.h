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

// Hidden states of all samples between two layers, in a file: the system keeps it in memory as far as there
// is room, none of it counts as this process's, and a run that is cut off finds it again. Rounded to bf16, as
// a bf16 model in transformers rounds them there.
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
  void read(Ctx& ctx, std::int64_t sample_idx, const View& hidden) const;     // [seqlen, hidden_size] f32

 private:
  StreamShape shape_;
  MappedFile file_;
};

// The file gets its name in commit().
class StreamWriter {
 public:
  StreamWriter(const std::filesystem::path& path, const StreamShape& shape);  // throws Error: a full disk
  void write(Ctx& ctx, std::int64_t sample_idx, const View& hidden);          // [seqlen, hidden_size] f32
  void commit() { file_.commit(); }

 private:
  StreamShape shape_;
  OutputFile file_;
};

}  // namespace lmdeploy
