#pragma once
#include <cstdint>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "checkpoint/stored_linear.h"
#include "model/layers.h"
#include "model/row_move.h"
#include "model/row_unpacker.h"

namespace lmdeploy {

// One of several tensors, or linear layers, that are stacked: all their rows, one below the other.
struct NamedRows {
  std::string name;
  std::int64_t num_rows = 0;
};

// How weights are held in memory.
struct WeightFormats {
  DType dtype = DType::bf16;                                     // of floats, and of what linear layers read
  std::optional<QuantizationConfig> quantization = {};           // how the folder holds them
  ops::Activations activations = ops::Activations::as_they_are;  // against weights of integers
  std::int32_t head_bits = 16;                                   // 8: a head of floats is rounded
  std::optional<QuantFormat> rounding = {};                      // of the layers' linear weights of floats
  bool headers_only = false;                                     // the folder's data is not there
};

// Brings a checkpoint's tensors into the form that the layers hold: floats packed in the weight dtype,
// quantised layers with their own integers, vectors in f32, all in memory of ctx.device. Pages of the file
// are given back while a tensor is copied, so that a load needs no more than the weights and kSliceBytes.
// Throws Error where a tensor is missing, has another type, or another shape than expected.
class WeightReader {
 public:
  WeightReader(Ctx& ctx, std::shared_ptr<const Checkpoint> checkpoint, WeightFormats formats);

  DType dtype() const noexcept { return formats_.dtype; }
  Ctx& ctx() const noexcept { return ctx_; }
  bool contains(const std::string& name) const { return checkpoint_->contains(name); }

  // Linear layers without ".weight" and ".bias", as one of all their rows; k inputs each.
  Linear linear(std::span<const NamedRows> parts, std::int64_t k, bool has_bias);
  Linear linear(const std::string& name, std::int64_t n, std::int64_t k, bool has_bias);
  // One linear layer with its rows in another order; each has its move.
  Linear linear(const NamedRows& source, std::int64_t k, std::span<const RowMove> moves, bool has_bias);

  // The layer that makes the logits, by the whole name of its floats, in the bits asked for.
  Linear head(const std::string& name, std::int64_t n, std::int64_t k);

  // A copy of a [n, k] tensor as it is, in the file's dtype: for lookups, not for products.
  Tensor table(const std::string& name, std::int64_t n, std::int64_t k);

  // Checks a [n, k] tensor and counts it as read, without reading it.
  void skip(const std::string& name, std::int64_t n, std::int64_t k) { mapped(name, Shape{n, k}); }

  Tensor vector(const std::string& name, std::int64_t n);  // [n] f32

  // One warning about tensors of the checkpoint that nothing read: what they hold is not computed. Of scales
  // for what is computed without them one line that tells so.
  void warn_about_unread() const;

 private:
  static constexpr std::int64_t kSliceBytes = std::int64_t{64} << 20;

  // Rows that come from one tensor, or one layer, each; `rows` together write every row of the target.
  struct Source {
    NamedRows tensor;
    std::vector<RowMove> moves;
    std::optional<StoredLinear> stored;  // where a layer is quantised
  };
  static std::vector<Source> stack(std::span<const NamedRows> parts);
  static std::vector<Source> named(std::span<const Source> sources, const std::string& suffix);
  static std::int64_t total_rows(std::span<const Source> sources);
  static bool same_format(const Source& a, const Source& b);

  Linear linear(std::vector<Source> layers, std::int64_t k, bool has_bias);
  LinearPart part(std::span<const Source> layers, std::int64_t k);  // of one format
  // Of floats, rounded where `rounding` says how.
  ops::PackedMatrix matrix(std::span<const Source> tensors, std::int64_t k,
                           const std::optional<QuantFormat>& rounding);
  Tensor vector(std::span<const Source> tensors);
  Tensor to_device(const View& host);

  // The tensor where it is mapped, in the file's dtype.
  View mapped(const std::string& name, const Shape& expected);
  // Calls take(rows of the file, first row of the target) slice by slice and gives the file's pages back.
  template <class Take>
  void for_slices(const std::string& name, std::span<const RowMove> moves, const Take& take);
  // To `target` in host memory, converted.
  void copy(const std::string& name, Tensor& target, std::span<const RowMove> moves);
  ops::Activations activations(const QuantFormat& format) const;
  void finish(const StoredLinear& layer);

  Ctx& ctx_;
  Ctx host_;
  std::shared_ptr<const Checkpoint> checkpoint_;
  WeightFormats formats_;
  RowUnpacker unpacker_;
  std::set<std::string> read_;
};

}  // namespace lmdeploy
