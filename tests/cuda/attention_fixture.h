#pragma once
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "cuda/cuda_fixture.h"
#include "cuda/stored_kv.h"

namespace lmdeploy::ops {

struct HeadShape {
  std::int64_t num_heads;
  std::int64_t num_kv_heads;
  std::int64_t head_dim;
};

// A paged cache on the card whose blocks are handed out in a random order and start full of NaN.
class CudaAttentionTest : public CudaOpsTest {
 protected:
  struct Sequence {
    Tensor k;  // [context_len, g * d] f32
    Tensor v;
    Tensor q;  // [context_len, h * d] f32
    std::vector<std::int32_t> blocks;
  };
  // Tokens [begin, end) of a sequence in one step.
  struct Part {
    const Sequence* seq;
    std::int64_t begin;
    std::int64_t end;
  };

  void make_cache(DType dtype, const HeadShape& shape_in, std::int32_t block_len, std::int64_t num_blocks,
                  std::int32_t quant_bits = 0) {
    stored_.reset();
    shape = shape_in;
    cache.layout = {dtype, static_cast<std::int32_t>(shape.num_kv_heads),
                    static_cast<std::int32_t>(shape.head_dim), block_len, quant_bits};
    centers = random(DType::f32, shape.num_kv_heads, shape.head_dim);
    device_centers = upload(centers);
    cache.key_centers = device_centers.view().as<float>();
    cache.num_blocks = num_blocks;
    cache.block_stride = cache.layout.block_bytes() * 3;  // as if of the second of three layers
    memory = poisoned(DType::u8, {num_blocks * cache.block_stride});
    cache.data = memory.view().as<std::uint8_t>() + cache.layout.block_bytes();
    free_blocks.resize(static_cast<std::size_t>(num_blocks));
    std::iota(free_blocks.begin(), free_blocks.end(), 0);
    std::shuffle(free_blocks.begin(), free_blocks.end(), rng);
  }

  Sequence make_sequence(std::int64_t len) { return make_sequence(len, len); }
  // With queries for its first num_queries tokens only.
  Sequence make_sequence(std::int64_t len, std::int64_t num_queries) {
    Sequence s{random(DType::f32, len, shape.num_kv_heads * shape.head_dim),
               random(DType::f32, len, shape.num_kv_heads * shape.head_dim),
               random(DType::f32, num_queries, shape.num_heads * shape.head_dim),
               {}};
    for (std::int64_t i = 0; i < len; i += cache.layout.block_len) {
      s.blocks.push_back(free_blocks.back());
      free_blocks.pop_back();
    }
    return s;
  }

  // Stores keys and values of the parts, from rows with gaps between them.
  void store(const std::vector<Part>& parts) {
    stored_.reset();
    std::vector<std::int32_t> slots;
    for (const Part& p : parts)
      for (std::int64_t t = p.begin; t < p.end; t++)
        slots.push_back(static_cast<std::int32_t>(slot(*p.seq, t)));
    const Tensor k = upload(gather(parts, &Sequence::k, 2)), v = upload(gather(parts, &Sequence::v, 7));
    store_kv(ctx, heads_of(k, shape.num_kv_heads), heads_of(v, shape.num_kv_heads), slots, cache);
  }

  // The batch of some parts. Owns its integers.
  struct Step {
    std::vector<std::int32_t> starts = {0}, lens, tables;
    AttentionBatch batch;
  };
  Step make_step(const std::vector<Part>& parts) const {
    Step step;
    std::size_t max_blocks = 0;
    for (const Part& p : parts) max_blocks = std::max(max_blocks, p.seq->blocks.size());
    for (const Part& p : parts) {
      step.starts.push_back(step.starts.back() + static_cast<std::int32_t>(p.end - p.begin));
      step.lens.push_back(static_cast<std::int32_t>(p.end));
      step.tables.insert(step.tables.end(), p.seq->blocks.begin(), p.seq->blocks.end());
      step.tables.resize(step.lens.size() * max_blocks, -1);
    }
    step.batch.max_blocks = static_cast<std::int32_t>(max_blocks);
    step.batch.scale = scale();
    step.batch.sliding_window = static_cast<std::int32_t>(window);
    return step;
  }

  // Attention of the parts, whose keys are stored, into the middle of a wider matrix.
  Tensor attend(const std::vector<Part>& parts, DType y_type = DType::f32) {
    Step step = make_step(parts);
    step.batch.query_starts = step.starts;
    step.batch.context_lens = step.lens;
    step.batch.block_tables = step.tables;
    return attend(parts, step.batch, y_type);
  }
  Tensor attend(const std::vector<Part>& parts, const AttentionBatch& batch, DType y_type) {
    const std::int64_t width = shape.num_heads * shape.head_dim,
                       gap = static_cast<std::int64_t>(rng() % 2) * 3;
    const Tensor q = upload(gather(parts, &Sequence::q, 2 * gap));
    const std::int64_t m = q.view().dim(0);
    const Tensor y = poisoned(y_type, {m, width + gap});
    const View rows(
        static_cast<char*>(y.view().data) + gap / 3 * static_cast<std::int64_t>(dtype_bytes(y_type)), y_type,
        {m, width}, width + gap);
    attention(ctx, heads_of(q, shape.num_heads), cache, batch, rows);
    expect_poison_around(y, gap / 3, width, "attention");
    return download(rows);
  }

  // Stores and attends.
  Tensor step(const std::vector<Part>& parts, DType y_type = DType::f32) {
    store(parts);
    return attend(parts, y_type);
  }

  // Compares some rows of each part, the first and the last among them, with the reference.
  void expect_reference(const Tensor& y, const std::vector<Part>& parts, const std::string& what) {
    const StoredKv& kv = stored();
    const double tolerance = attention_tolerance() + Tolerance::result(y.dtype());
    std::int64_t row = 0;
    for (std::size_t i = 0; i < parts.size(); row += parts[i].end - parts[i].begin, i++) {
      const Part& p = parts[i];
      if (p.begin == p.end) continue;
      const auto [keys, values] = stored_tokens(kv, *p.seq, p.end);
      for (const std::int64_t at :
           {p.begin, p.begin + static_cast<std::int64_t>(rng()) % (p.end - p.begin), p.end - 1}) {
        const std::int64_t r = row + at - p.begin;
        expect_close(
            y.view().rows(r, 1), expected(*p.seq, keys, values, at), tolerance,
            fmt::format("{}: sequence {} of {} + {}, query {}", what, i, p.begin, p.end - p.begin, at));
        if (testing::Test::HasFatalFailure()) return;
      }
    }
  }
  // Queries and weights are rounded to 16 bits; the weights of codes to bf16 always.
  double attention_tolerance() const {
    if (cache.layout.quant_bits != 0) return cache.layout.dtype == DType::f32 ? 4e-5 : 0.04;
    return cache.layout.dtype == DType::f16 ? 0.0025 : Tolerance::attention(cache.layout.dtype);
  }

  const StoredKv& stored() {
    if (!stored_) stored_.emplace(cache, download(memory), cache.layout.block_bytes());
    return *stored_;
  }

  std::int64_t slot(const Sequence& s, std::int64_t token) const {
    const std::int64_t block_len = cache.layout.block_len;
    return s.blocks[static_cast<std::size_t>(token / block_len)] * block_len + token % block_len;
  }
  float scale() const { return 1 / std::sqrt(static_cast<float>(shape.head_dim)); }
  std::string cache_name() const {
    return fmt::format("{} heads over {} of {}, {}, {} bits, window {}", shape.num_heads, shape.num_kv_heads,
                       shape.head_dim, dtype_name(cache.layout.dtype), cache.layout.quant_bits, window);
  }

  HeadShape shape{};
  std::int64_t window = 0;
  KvLayer cache;
  Tensor centers;  // [num_kv_heads, head_dim] f32
  Tensor device_centers;
  Tensor memory;
  std::vector<std::int32_t> free_blocks;

 private:
  std::optional<StoredKv> stored_;  // as long as nothing more is stored

  // Rows of the parts, with `gap` elements of NaN behind each.
  static Tensor gather(const std::vector<Part>& parts, Tensor Sequence::* member, std::int64_t gap) {
    std::int64_t m = 0;
    for (const Part& p : parts) m += p.end - p.begin;
    const std::int64_t width = (parts[0].seq->*member).view().dim(1);
    Tensor all(host_allocator(), DType::f32, {m, width + gap});
    std::memset(all.view().data, 0xff, static_cast<std::size_t>(all.view().bytes()));
    std::int64_t row = 0;
    for (const Part& p : parts)
      for (std::int64_t t = p.begin; t < p.end; t++, row++)
        std::copy_n((p.seq->*member).view().template row<float>(t), width, all.view().row<float>(row));
    return all;
  }
  View heads_of(const View& rows, std::int64_t num_heads) const {
    return View(rows.data, DType::f32, {rows.dim(0), num_heads, shape.head_dim}, rows.dim(1));
  }

  // Keys and values of tokens [0, end) as the cache holds them.
  std::pair<ref::Matrix, ref::Matrix> stored_tokens(const StoredKv& kv, const Sequence& s,
                                                    std::int64_t end) const {
    const std::int64_t d = shape.head_dim;
    ref::Matrix keys(end, shape.num_kv_heads * d), values = keys;
    for (std::int64_t t = 0; t < end; t++)
      for (std::int64_t head = 0; head < shape.num_kv_heads; head++) {
        kv.read(slot(s, t), head, ref::Half::keys, &keys.at(t, head * d));
        kv.read(slot(s, t), head, ref::Half::values, &values.at(t, head * d));
      }
    return {keys, values};
  }

  // Where keys are rotated the query is too; centres add the same to all scores.
  ref::Matrix expected(const Sequence& s, const ref::Matrix& keys, const ref::Matrix& values,
                       std::int64_t at) const {
    const auto head_of = [&](const ref::Matrix& all) {
      ref::Matrix result(at + 1, all.num_columns);
      std::copy_n(all.values.begin(), result.values.size(), result.values.begin());
      return result;
    };
    ref::Matrix query = matrix(s.q.view().rows(at, 1));
    if (cache.layout.quant_bits == 4) query = ref::rotate(query, shape.head_dim);
    return ref::attention(
        query, head_of(keys), head_of(values),
        {shape.num_heads, shape.num_kv_heads, shape.head_dim, static_cast<double>(scale()), window});
  }
};

}  // namespace lmdeploy::ops
