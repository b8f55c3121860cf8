#include "make_model_weights.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "checkpoint/writer.h"

namespace lmdeploy::make_model {
namespace {

constexpr std::array<ModelShape, 4> kShapes{{
    {"internlm2_5-1_8b", 92544, 2048, 8192, 24, 16, 8},
    {"internlm2_5-7b", 92544, 4096, 14336, 32, 32, 8},
    {"tiny", 1200, 64, 96, 2, 4, 2},
    {"free", 1200, 32, 64, 1, 1, 1},  // as little as a forward pass can be: servers are measured with it
}};

constexpr std::int64_t kBufferBytes = std::int64_t{32} << 20;

// Consecutive rows of one of the model's matrices.
struct RowRange {
  std::uint64_t matrix_id = 0;  // the same whatever the layout calls it
  std::int64_t first_row = 0;
  std::int64_t num_rows = 0;
};

// A tensor of the file: rows of matrices, and the values' range [offset - spread, offset + spread].
struct PlannedTensor {
  TensorSpec spec;
  std::vector<RowRange> rows;
  float offset = 0;
  float spread = 0;
};

std::uint64_t mix(std::uint64_t x) {  // the finalizer of splitmix64 (Steele, Lea, Flood 2014)
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

// Four 16-bit numbers of each draw, made odd so that none is zero.
void fill_row(std::uint64_t state, const PlannedTensor& tensor, std::span<bf16_t> row) {
  const float scale = tensor.spread / 32768.0F;
  for (std::size_t i = 0; i < row.size(); i += 4) {
    state += 0x9e3779b97f4a7c15;
    const std::uint64_t bits = mix(state);
    for (std::size_t j = 0; j < std::min<std::size_t>(4, row.size() - i); j++) {
      const auto odd = static_cast<std::int16_t>((bits >> (16 * j)) | 1);
      row[i + j] = from_float<bf16_t>(tensor.offset + scale * static_cast<float>(odd));
    }
  }
}

class Planner {
 public:
  Planner(const ModelShape& shape, Layout layout) : shape_(shape), layout_(layout) {}

  std::vector<PlannedTensor> plan() {
    const bool llama = layout_ == Layout::llama;
    matrix(llama ? "model.embed_tokens.weight" : "model.tok_embeddings.weight", shape_.vocab_size,
           shape_.hidden_size, std::sqrt(3.0));
    for (std::int64_t i = 0; i < shape_.num_hidden_layers; i++) {
      const std::string prefix = fmt::format("model.layers.{}.", i);
      norm(prefix + (llama ? "input_layernorm.weight" : "attention_norm.weight"));
      attention(prefix);
      norm(prefix + (llama ? "post_attention_layernorm.weight" : "ffn_norm.weight"));
      linear(prefix + (llama ? "mlp.gate_proj.weight" : "feed_forward.w1.weight"), shape_.intermediate_size,
             shape_.hidden_size);
      linear(prefix + (llama ? "mlp.up_proj.weight" : "feed_forward.w3.weight"), shape_.intermediate_size,
             shape_.hidden_size);
      linear(prefix + (llama ? "mlp.down_proj.weight" : "feed_forward.w2.weight"), shape_.hidden_size,
             shape_.intermediate_size);
    }
    norm("model.norm.weight");
    linear(llama ? "lm_head.weight" : "output.weight", shape_.vocab_size, shape_.hidden_size);
    return std::move(tensors_);
  }

 private:
  static double linear_spread(std::int64_t k) { return std::sqrt(3.0 / static_cast<double>(k)); }

  void matrix(std::string name, std::int64_t n, std::int64_t k, double spread) {
    tensors_.push_back({{std::move(name), DType::bf16, Shape{n, k}},
                        {{next_matrix_id_++, 0, n}},
                        0,
                        static_cast<float>(spread)});
  }
  void linear(std::string name, std::int64_t n, std::int64_t k) {
    matrix(std::move(name), n, k, linear_spread(k));
  }
  void norm(std::string name) {
    tensors_.push_back(
        {{std::move(name), DType::bf16, Shape{shape_.hidden_size}}, {{next_matrix_id_++, 0, 1}}, 1, 0.25F});
  }

  void attention(const std::string& prefix) {
    const std::int64_t d = shape_.head_dim(), h = shape_.num_attention_heads, g = shape_.num_key_value_heads;
    const std::uint64_t q_id = next_matrix_id_;
    if (layout_ == Layout::llama) {
      linear(prefix + "self_attn.q_proj.weight", h * d, shape_.hidden_size);
      linear(prefix + "self_attn.k_proj.weight", g * d, shape_.hidden_size);
      linear(prefix + "self_attn.v_proj.weight", g * d, shape_.hidden_size);
      linear(prefix + "self_attn.o_proj.weight", shape_.hidden_size, h * d);
      return;
    }
    linear(prefix + "attention.wqkv.weight", (h + 2 * g) * d, shape_.hidden_size);
    std::vector<RowRange>& rows = tensors_.back().rows;
    rows.clear();
    const std::int64_t group_rows = h / g * d;
    for (std::int64_t i = 0; i < g; i++) {
      rows.push_back({q_id, i * group_rows, group_rows});
      rows.push_back({q_id + 1, i * d, d});
      rows.push_back({q_id + 2, i * d, d});
    }
    next_matrix_id_ = q_id + 3;
    linear(prefix + "attention.wo.weight", shape_.hidden_size, h * d);
  }

  const ModelShape& shape_;
  Layout layout_;
  std::uint64_t next_matrix_id_ = 0;
  std::vector<PlannedTensor> tensors_;
};

class TensorFiller {
 public:
  TensorFiller(ThreadPool& pool, std::uint64_t seed, CheckpointWriter& writer)
      : pool_(pool), seed_(mix(seed + 1)), writer_(writer) {}

  void write(const PlannedTensor& tensor) {
    const Shape& shape = tensor.spec.shape;
    const std::int64_t width = shape[shape.rank() - 1];
    const std::int64_t max_rows = std::max<std::int64_t>(1, kBufferBytes / (2 * width));
    for (const RowRange& range : tensor.rows)
      for (std::int64_t done = 0; done < range.num_rows; done += max_rows)
        write_rows(tensor,
                   {range.matrix_id, range.first_row + done, std::min(max_rows, range.num_rows - done)},
                   width);
  }

 private:
  void write_rows(const PlannedTensor& tensor, const RowRange& range, std::int64_t width) {
    buffer_.resize(static_cast<std::size_t>(range.num_rows * width));
    const std::span<bf16_t> values(buffer_);
    pool_.parallel_for(range.num_rows, [&](std::int64_t i, int) {
      const auto row = static_cast<std::uint64_t>(range.first_row + i);
      fill_row(mix(seed_ ^ mix(range.matrix_id + 1) ^ (row << 20)), tensor,
               values.subspan(static_cast<std::size_t>(i * width), static_cast<std::size_t>(width)));
    });
    writer_.write(tensor.spec.name, std::as_bytes(values));
  }

  ThreadPool& pool_;
  std::uint64_t seed_;
  CheckpointWriter& writer_;
  std::vector<bf16_t> buffer_;
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

std::int64_t write_weights(ThreadPool& pool, const ModelShape& shape, Layout layout, std::uint64_t seed,
                           const std::filesystem::path& folder) {
  const std::vector<PlannedTensor> tensors = Planner(shape, layout).plan();
  std::vector<TensorSpec> specs;
  for (const PlannedTensor& tensor : tensors) specs.push_back(tensor.spec);
  CheckpointWriter writer(folder, specs);
  TensorFiller filler(pool, seed, writer);
  for (const PlannedTensor& tensor : tensors) filler.write(tensor);
  writer.finish();
  return static_cast<std::int64_t>(writer.total_bytes());
}

}  // namespace lmdeploy::make_model
