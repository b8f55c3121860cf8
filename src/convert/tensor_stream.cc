#include "convert/tensor_stream.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "tensor/dtype.h"

namespace lmdeploy::convert {
namespace {

constexpr std::int64_t kChunkElements = 1 << 20;

// Rows of a weight; a bias, whose elements may have to be permuted, is taken as rows of one element.
struct RowView {
  std::int64_t num_rows;
  std::int64_t row_len;
};

RowView rows_of(const PlannedTensor& tensor) {
  const Shape& shape = tensor.target.shape;
  return shape.rank() == 1 ? RowView{1, shape[0]} : RowView{shape[0], shape[1]};
}

void round_to_bf16(std::span<const float> values, bf16_t* rounded, const std::string& name) {
  constexpr std::uint16_t kExponent = 0x7f80;  // all ones: infinite or not a number
  bool finite = true;
  for (std::size_t i = 0; i < values.size(); ++i) {
    rounded[i] = from_float<bf16_t>(values[i]);
    finite = finite && (rounded[i].bits & kExponent) != kExponent;
  }
  if (!finite)
    throw Error(fmt::format("tensor {} holds a value that is not a finite bf16 number", name),
                "The file is damaged; fetch it again.");
}

// One tensor, with buffers that the next one uses again.
class TensorStream {
 public:
  TensorStream(const GgufFile& file, CheckpointWriter& writer) : file_(file), writer_(writer) {}

  void write(const PlannedTensor& tensor) {
    const RowView view = rows_of(tensor);
    const std::int64_t rows_at_once = std::max<std::int64_t>(1, kChunkElements / view.row_len);
    for (std::int64_t begin = 0; begin < view.num_rows; begin += rows_at_once) {
      const std::int64_t count = std::min(rows_at_once, view.num_rows - begin);
      if (view.num_rows == 1)
        fill_vector(tensor);
      else
        fill_rows(tensor, begin, count, view.row_len);
      rounded_.resize(values_.size());
      round_to_bf16(values_, rounded_.data(), tensor.source->name);
      writer_.write(tensor.target.name, std::as_bytes(std::span(rounded_)));
    }
    file_.release(*tensor.source);
  }

 private:
  void fill_rows(const PlannedTensor& tensor, std::int64_t begin, std::int64_t count, std::int64_t row_len) {
    const auto length = static_cast<std::size_t>(row_len);
    values_.resize(static_cast<std::size_t>(count) * length);
    for (std::int64_t i = 0; i < count; ++i)
      dequantize_gguf(tensor.source->type, file_.rows(*tensor.source, tensor.source_row(begin + i), 1),
                      std::span(values_).subspan(static_cast<std::size_t>(i) * length, length));
  }

  void fill_vector(const PlannedTensor& tensor) {
    const auto length = static_cast<std::size_t>(tensor.target.shape.num_elements());
    std::vector<float> stored(length);
    dequantize_gguf(tensor.source->type, file_.rows(*tensor.source, 0, 1), stored);
    values_.resize(length);
    for (std::size_t i = 0; i < length; ++i)
      values_[i] = stored[static_cast<std::size_t>(tensor.source_row(static_cast<std::int64_t>(i)))];
  }

  const GgufFile& file_;
  CheckpointWriter& writer_;
  std::vector<float> values_;
  std::vector<bf16_t> rounded_;
};

}  // namespace

void stream_tensors(const GgufFile& file, const std::vector<PlannedTensor>& tensors, CheckpointWriter& writer,
                    const ConvertProgress& progress) {
  TensorStream stream(file, writer);
  const auto total_bytes = static_cast<std::int64_t>(writer.total_bytes());
  std::int64_t done_bytes = 0;
  if (progress) progress(done_bytes, total_bytes);
  for (const PlannedTensor& tensor : tensors) {
    file.check_unchanged();
    stream.write(tensor);
    done_bytes += tensor.target.shape.num_elements() * static_cast<std::int64_t>(sizeof(bf16_t));
    if (progress) progress(done_bytes, total_bytes);
  }
}

}  // namespace lmdeploy::convert
