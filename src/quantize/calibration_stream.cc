#include "quantize/calibration_stream.h"

#include "base/error.h"
#include "ops/ops.h"
#include "quantize/contexts.h"

namespace lmdeploy {
namespace {

View sample_of(const View& memory, const StreamShape& shape, std::int64_t sample_idx) {
  return memory.rows(sample_idx * shape.seqlen, shape.seqlen);
}

}  // namespace

StreamReader::StreamReader(const std::filesystem::path& path, const StreamShape& shape)
    : shape_(shape), file_(std::in_place, path) {
  if (file_->size() != shape.bytes())
    throw Error(fmt::format("{} has {} bytes, expected {}", path.string(), file_->size(), shape.bytes()),
                "Another program changed it; remove the folder and start again without --resume.");
}

void StreamReader::read(Ctx& ctx, std::int64_t sample_idx, const View& hidden) const {
  if (!file_) return ops::cast(ctx, sample_of(memory_, shape_, sample_idx), hidden);
  file_->check_unchanged();
  const auto bytes = static_cast<std::uint64_t>(shape_.sample_bytes());
  const std::uint64_t offset = static_cast<std::uint64_t>(sample_idx) * bytes;
  auto* data = const_cast<std::byte*>(file_->bytes(offset, bytes).data());  // only read
  const Workspace::Scope scope(*ctx.workspace);
  ops::cast(ctx, on_device(ctx, {data, DType::bf16, {shape_.seqlen, shape_.hidden_size}}), hidden);
  file_->release(offset, bytes);
}

StreamWriter::StreamWriter(const std::filesystem::path& path, const StreamShape& shape)
    : shape_(shape), file_(std::in_place, path, shape.bytes()) {}

void StreamWriter::write(Ctx& ctx, std::int64_t sample_idx, const View& hidden) {
  if (!file_) return ops::cast(ctx, hidden, sample_of(memory_, shape_, sample_idx));
  const Workspace::Scope scope(*ctx.workspace);
  const View rounded = ctx.workspace->take(DType::bf16, {shape_.seqlen, shape_.hidden_size});
  ops::cast(ctx, hidden, rounded);
  const OnHost host(ctx, rounded);
  file_->write_at(
      static_cast<std::uint64_t>(sample_idx * shape_.sample_bytes()),
      {static_cast<const std::byte*>(host.view().data), static_cast<std::size_t>(rounded.bytes())});
}

}  // namespace lmdeploy
