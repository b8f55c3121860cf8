#include "model/weight_reader.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "ops/ops.h"

namespace lmdeploy {
namespace {

bool is_float(DType dtype) {
  return dtype == DType::f32 || dtype == DType::bf16 || dtype == DType::f16;
}

// Buffers that old versions of transformers saved with the weights; they follow from config.json.
bool is_derived(const std::string& name) {
  return name.ends_with("rotary_emb.inv_freq") || name.ends_with("attn.masked_bias");
}

// [n] as the [1, n] that ops::cast takes.
View as_row(const View& vector, std::int64_t begin, std::int64_t count) {
  auto* data = static_cast<char*>(vector.data) + begin * static_cast<std::int64_t>(dtype_bytes(vector.dtype));
  return {data, vector.dtype, Shape{1, count}};
}

}  // namespace

std::int64_t WeightReader::total_rows(std::span<const Source> sources) {
  std::int64_t sum = 0;
  for (const Source& source : sources) sum += source.tensor.num_rows;
  return sum;
}

std::vector<WeightReader::Source> WeightReader::named(std::span<const Source> sources,
                                                      const std::string& suffix) {
  std::vector<Source> result(sources.begin(), sources.end());
  for (Source& source : result) source.tensor.name += suffix;
  return result;
}

WeightReader::WeightReader(Ctx& ctx, std::shared_ptr<const Checkpoint> checkpoint, DType dtype)
    : ctx_(ctx), checkpoint_(std::move(checkpoint)), dtype_(dtype) {}

View WeightReader::mapped(const std::string& name, const Shape& expected) {
  const std::string folder = checkpoint_->folder().string();
  if (!checkpoint_->contains(name))
    throw Error(
        fmt::format("{} has no tensor {} (expected with shape {})", folder, name, expected.to_string()),
        "The folder is incomplete or config.json names another architecture; fetch it again.");
  const View view = checkpoint_->get(name);
  if (!is_float(view.dtype))
    throw Error(fmt::format("tensor {} of {} is {}; expected float32, bfloat16 or float16", name, folder,
                            dtype_name(view.dtype)),
                "Use a folder whose weights are not quantised.");
  if (!(view.shape == expected))
    throw Error(fmt::format("tensor {} of {} has shape {}; config.json makes it {}", name, folder,
                            view.shape.to_string(), expected.to_string()),
                "config.json and the weights do not belong together; fetch the folder again.");
  read_.insert(name);
  return view;
}

std::vector<WeightReader::Source> WeightReader::stack(std::span<const NamedRows> parts) {
  std::vector<Source> sources;
  std::int64_t row = 0;
  for (const NamedRows& part : parts) {
    sources.push_back({part, {{0, part.num_rows, row}}});
    row += part.num_rows;
  }
  return sources;
}

Linear WeightReader::linear(std::span<const NamedRows> parts, std::int64_t k, bool has_bias) {
  return linear(stack(parts), k, has_bias);
}

Linear WeightReader::linear(const std::string& name, std::int64_t n, std::int64_t k, bool has_bias) {
  const NamedRows part{name, n};
  return linear(stack({&part, 1}), k, has_bias);
}

Linear WeightReader::linear(const NamedRows& source, std::int64_t k, std::span<const RowMove> moves,
                            bool has_bias) {
  const Source only{source, {moves.begin(), moves.end()}};
  return linear({&only, 1}, k, has_bias);
}

Linear WeightReader::linear(std::span<const Source> sources, std::int64_t k, bool has_bias) {
  Linear result;
  result.weight = matrix(named(sources, ".weight"), k);
  if (has_bias) result.bias = vector(named(sources, ".bias"));
  return result;
}

// Shapes are checked before memory is taken for them: a config.json that does not belong to the weights is
// then named as such, however large its numbers.
ops::PackedMatrix WeightReader::matrix(std::span<const Source> sources, std::int64_t k) {
  for (const Source& source : sources) mapped(source.tensor.name, Shape{source.tensor.num_rows, k});
  ops::PackedMatrix result = ops::make_packed_matrix(ctx_, {dtype_}, total_rows(sources), k);
  for (const Source& source : sources) pack(source.tensor.name, result, source.moves);
  return result;
}

ops::PackedMatrix WeightReader::matrix(const std::string& name, std::int64_t n, std::int64_t k) {
  const NamedRows part{name, n};
  return matrix(stack({&part, 1}), k);
}

template <class Take>
void WeightReader::for_slices(const std::string& name, std::span<const RowMove> moves, const Take& take) {
  const View all = checkpoint_->get(name);
  const std::int64_t row_bytes = all.dim(1) * static_cast<std::int64_t>(dtype_bytes(all.dtype));
  const std::int64_t slice_rows = std::max<std::int64_t>(1, kSliceBytes / row_bytes);
  std::int64_t resident_rows = 0;
  for (const RowMove& move : moves) {
    for (std::int64_t done = 0; done < move.num_rows;) {
      const std::int64_t count = std::min(slice_rows, move.num_rows - done);
      take(checkpoint_->get(name).rows(move.source_row + done, count), move.target_row + done);
      done += count;
      resident_rows += count;
      if (resident_rows >= slice_rows) {
        checkpoint_->release(name);
        resident_rows = 0;
      }
    }
  }
  checkpoint_->release(name);
}

void WeightReader::pack(const std::string& name, ops::PackedMatrix& target, std::span<const RowMove> moves) {
  for_slices(name, moves, [&](const View& rows, std::int64_t target_row) {
    ops::pack_rows(ctx_, rows, target, target_row);
  });
}

Tensor WeightReader::table(const std::string& name, std::int64_t n, std::int64_t k) {
  Tensor result(*ctx_.allocator, mapped(name, Shape{n, k}).dtype, Shape{n, k});
  const RowMove all{0, n, 0};
  for_slices(name, {&all, 1}, [&](const View& rows, std::int64_t target_row) {
    ops::cast(ctx_, rows, result.view().rows(target_row, rows.dim(0)));
  });
  return result;
}

Tensor WeightReader::vector(std::span<const Source> sources) {
  for (const Source& source : sources) mapped(source.tensor.name, Shape{source.tensor.num_rows});
  Tensor result(*ctx_.allocator, DType::f32, Shape{total_rows(sources)});
  for (const Source& source : sources) copy(source.tensor.name, result, source.moves);
  return result;
}

Tensor WeightReader::vector(const std::string& name, std::int64_t n) {
  const NamedRows part{name, n};
  return vector(stack({&part, 1}));
}

void WeightReader::copy(const std::string& name, Tensor& target, std::span<const RowMove> moves) {
  const View source = checkpoint_->get(name);
  for (const RowMove& move : moves)
    ops::cast(ctx_, as_row(source, move.source_row, move.num_rows),
              as_row(target, move.target_row, move.num_rows));
  checkpoint_->release(name);
}

void WeightReader::warn_about_unread() const {
  std::vector<std::string> unread;
  for (std::string& name : checkpoint_->names())
    if (!read_.contains(name) && !is_derived(name)) unread.push_back(std::move(name));
  if (unread.empty()) return;
  log::warn("{}: {} tensors have no place in this architecture and are ignored, the first is {}",
            checkpoint_->folder().string(), unread.size(), unread.front());
}

}  // namespace lmdeploy
