#include "make_model_weights.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "make_model_plan.h"

namespace lmdeploy::make_model {
namespace {

constexpr std::array<ModelShape, 4> kShapes{{
    {"internlm2_5-1_8b", 92544, 2048, 8192, 24, 16, 8},
    {"internlm2_5-7b", 92544, 4096, 14336, 32, 32, 8},
    {"tiny", 1200, 64, 96, 2, 4, 2},
    {"free", 1200, 32, 64, 1, 1, 1},  // as little as a forward pass can be: servers are measured with it
}};

constexpr float kLargestFp8 = 448;
constexpr std::int64_t kBufferBytes = std::int64_t{32} << 20;

std::uint64_t mix(std::uint64_t x) {  // the finalizer of splitmix64 (Steele, Lea, Flood 2014)
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

// Four 16-bit numbers of each draw, made odd so that none is zero; those of 8 bits fill the range of theirs.
template <class T>
void fill_row(std::uint64_t state, const PlannedTensor& tensor, std::span<T> row) {
  const float scale = (std::is_same_v<T, f8_e4m3_t> ? kLargestFp8 : tensor.spread) / 32768.0F;
  for (std::size_t i = 0; i < row.size(); i += 4) {
    state += 0x9e3779b97f4a7c15;
    const std::uint64_t bits = mix(state);
    for (std::size_t j = 0; j < std::min<std::size_t>(4, row.size() - i); j++) {
      const auto odd = static_cast<std::int16_t>((bits >> (16 * j)) | 1);
      row[i + j] = from_float<T>(tensor.offset + scale * static_cast<float>(odd));
    }
  }
}

// Of word or output `column` of a matrix, in row `row` of a tensor.
std::uint64_t draw(std::uint64_t state, std::int64_t column) {
  return mix(state + (static_cast<std::uint64_t>(column) + 1) * 0x9e3779b97f4a7c15);
}

std::int32_t awq_word(std::uint64_t bits, Fill fill) {
  const auto word = static_cast<std::uint32_t>(bits);
  return static_cast<std::int32_t>(fill == Fill::awq_zeros ? 0x66666666 + (word & 0x33333333) : word);
}

// In [3/4, 5/4] of the middle.
f16_t awq_scale(std::uint64_t bits, float middle) {
  return from_float<f16_t>(middle * (0.75F + 0.5F * static_cast<float>(bits & 0xffff) / 65536.0F));
}

class TensorFiller {
 public:
  TensorFiller(ThreadPool& pool, std::uint64_t seed, CheckpointWriter& writer)
      : pool_(pool), seed_(mix(seed + 1)), writer_(writer) {}

  void write(const PlannedTensor& tensor) {
    if (tensor.fill == Fill::values) return write_values<bf16_t>(tensor);
    if (tensor.fill == Fill::fp8_values) return write_values<f8_e4m3_t>(tensor);
    if (tensor.fill == Fill::fp8_scales) return write_equal(tensor, tensor.spread / kLargestFp8);
    if (tensor.fill == Fill::awq_scales) return write_columns<f16_t>(tensor);
    write_columns<std::int32_t>(tensor);
  }

 private:
  std::uint64_t state_of(std::uint64_t matrix_id, std::int64_t row) const {
    return mix(seed_ ^ mix(matrix_id + 1) ^ (static_cast<std::uint64_t>(row) << 20));
  }

  template <class T>
  void write_values(const PlannedTensor& tensor) {
    const Shape& shape = tensor.spec.shape;
    const std::int64_t width = shape[shape.rank() - 1];
    const std::int64_t max_rows = std::max<std::int64_t>(1, kBufferBytes / (2 * width));
    for (const RowRange& range : tensor.rows)
      for (std::int64_t done = 0; done < range.num_rows; done += max_rows)
        write_rows<T>(tensor,
                      {range.matrix_id, range.first_row + done, std::min(max_rows, range.num_rows - done)},
                      width);
  }

  void write_equal(const PlannedTensor& tensor, float value) {
    const std::vector<float> values(static_cast<std::size_t>(tensor.spec.shape.num_elements()), value);
    writer_.write(tensor.spec.name, std::as_bytes(std::span(values)));
  }

  template <class T>
  void write_rows(const PlannedTensor& tensor, const RowRange& range, std::int64_t width) {
    std::vector<T> buffer(static_cast<std::size_t>(range.num_rows * width));
    const std::span<T> values(buffer);
    pool_.parallel_for(range.num_rows, [&](std::int64_t i, int) {
      fill_row<T>(state_of(range.matrix_id, range.first_row + i), tensor,
                  values.subspan(static_cast<std::size_t>(i * width), static_cast<std::size_t>(width)));
    });
    writer_.write(tensor.spec.name, std::as_bytes(values));
  }

  // AWQ's tensors: a row has a word for eight outputs, or a scale for each.
  template <class T>
  void write_columns(const PlannedTensor& tensor) {
    const std::int64_t num_rows = tensor.spec.shape[0], width = tensor.spec.shape[1];
    std::vector<T> buffer(static_cast<std::size_t>(num_rows * width));
    pool_.parallel_for(num_rows, [&](std::int64_t row, int) {
      fill_columns(tensor, row, std::span(buffer).subspan(static_cast<std::size_t>(row * width)));
    });
    writer_.write(tensor.spec.name, std::as_bytes(std::span<const T>(buffer)));
  }

  template <class T>
  void fill_columns(const PlannedTensor& tensor, std::int64_t row, std::span<T> out) const {
    constexpr std::int64_t kOutputs = std::is_same_v<T, f16_t> ? 1 : 8;
    const auto kind = static_cast<std::uint64_t>(tensor.fill) << 48;
    std::size_t next = 0;
    for (const RowRange& range : tensor.rows) {
      const std::uint64_t state = state_of(range.matrix_id ^ kind, row);
      for (std::int64_t i = 0; i < range.num_rows / kOutputs; i++) {
        const std::uint64_t bits = draw(state, range.first_row / kOutputs + i);
        if constexpr (std::is_same_v<T, f16_t>)
          out[next++] = awq_scale(bits, tensor.spread);
        else
          out[next++] = awq_word(bits, tensor.fill);
      }
    }
  }

  ThreadPool& pool_;
  std::uint64_t seed_;
  CheckpointWriter& writer_;
};

}  // namespace

std::span<const ModelShape> known_shapes() {
  return kShapes;
}

const ModelShape* find_shape(std::string_view name) {
  const auto found = std::find_if(kShapes.begin(), kShapes.end(),
                                  [&](const ModelShape& shape) { return shape.name == name; });
  return found == kShapes.end() ? nullptr : &*found;
}

std::int64_t write_weights(ThreadPool& pool, const ModelShape& shape, const Form& form, std::uint64_t seed,
                           const std::filesystem::path& folder) {
  const std::vector<PlannedTensor> tensors = plan_tensors(shape, form);
  std::vector<TensorSpec> specs;
  for (const PlannedTensor& tensor : tensors) specs.push_back(tensor.spec);
  CheckpointWriter writer(folder, specs);
  TensorFiller filler(pool, seed, writer);
  for (const PlannedTensor& tensor : tensors) filler.write(tensor);
  writer.finish();
  return static_cast<std::int64_t>(writer.total_bytes());
}

}  // namespace lmdeploy::make_model
