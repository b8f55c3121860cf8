#pragma once
#include <limits>
#include <numeric>

#include "ops/ops_fixture.h"
#include "ops/ref/kv_cache.h"

namespace lmdeploy::ops {

struct Shape4 {
  std::int64_t num_heads;
  std::int64_t num_kv_heads;
  std::int64_t head_dim;
};

// A paged cache whose blocks are handed out in a random order and start full of NaN.
class AttentionTest : public OpsTest {
 protected:
  struct Sequence {
    Tensor k;  // [context_len, g * d] f32
    Tensor v;
    Tensor q;  // [context_len, h * d] f32
    std::vector<std::int32_t> blocks;
  };

  void make_cache(DType dtype, const Shape4& shape_in, std::int32_t block_len, std::int64_t num_blocks,
                  std::int32_t quant_bits = 0) {
    shape = shape_in;
    cache.layout = {dtype, static_cast<std::int32_t>(shape.num_kv_heads),
                    static_cast<std::int32_t>(shape.head_dim), block_len, quant_bits};
    centers = random(DType::f32, shape.num_kv_heads, shape.head_dim);
    cache.key_centers = centers.view().as<float>();
    cache.num_blocks = num_blocks;
    cache.block_stride = cache.layout.block_bytes() * 3;  // as if of the second of three layers
    memory = Tensor(host_allocator(), DType::u8, {num_blocks * cache.block_stride});
    cache.data = memory.view().as<std::uint8_t>() + cache.layout.block_bytes();
    forget();
    free_blocks.resize(static_cast<std::size_t>(num_blocks));
    std::iota(free_blocks.begin(), free_blocks.end(), 0);
    std::shuffle(free_blocks.begin(), free_blocks.end(), rng);
  }

  void forget() {  // NaN in every type
    std::memset(memory.view().data, 0xff, static_cast<std::size_t>(memory.view().bytes()));
  }

  Sequence make_sequence(std::int64_t len) {
    Sequence s{random(DType::f32, len, shape.num_kv_heads * shape.head_dim),
               random(DType::f32, len, shape.num_kv_heads * shape.head_dim),
               random(DType::f32, len, shape.num_heads * shape.head_dim),
               {}};
    for (std::int64_t i = 0; i < len; i += cache.layout.block_len) {
      s.blocks.push_back(free_blocks.back());
      free_blocks.pop_back();
    }
    return s;
  }

  // One step: stores and attends to tokens [begin[i], end[i]) of each sequence.
  Tensor step(const std::vector<const Sequence*>& seqs, const std::vector<std::int64_t>& begins,
              const std::vector<std::int64_t>& ends, DType y_type = DType::f32) {
    std::vector<std::int32_t> starts = {0}, lens, slots, tables;
    std::size_t max_blocks = 0;
    for (const Sequence* s : seqs) max_blocks = std::max(max_blocks, s->blocks.size());
    for (std::size_t i = 0; i < seqs.size(); i++) {
      starts.push_back(starts.back() + static_cast<std::int32_t>(ends[i] - begins[i]));
      lens.push_back(static_cast<std::int32_t>(ends[i]));
      std::vector<std::int32_t> table(max_blocks, 0);
      std::copy(seqs[i]->blocks.begin(), seqs[i]->blocks.end(), table.begin());
      tables.insert(tables.end(), table.begin(), table.end());
      for (std::int64_t t = begins[i]; t < ends[i]; t++)
        slots.push_back(table[static_cast<std::size_t>(t / cache.layout.block_len)] * cache.layout.block_len +
                        static_cast<std::int32_t>(t % cache.layout.block_len));
    }
    const std::int64_t m = starts.back(), d = shape.head_dim;
    const Tensor q = gather(seqs, begins, ends, &Sequence::q), k = gather(seqs, begins, ends, &Sequence::k),
                 v = gather(seqs, begins, ends, &Sequence::v);
    Tensor y = zeros(y_type, m, shape.num_heads * d);
    store_kv(ctx, View(k.view().data, DType::f32, {m, shape.num_kv_heads, d}),
             View(v.view().data, DType::f32, {m, shape.num_kv_heads, d}), slots, cache);
    AttentionBatch batch;
    batch.query_starts = starts;
    batch.context_lens = lens;
    batch.block_tables = tables;
    batch.max_blocks = static_cast<std::int32_t>(max_blocks);
    batch.scale = scale();
    batch.sliding_window = static_cast<std::int32_t>(window);
    attention(ctx, View(q.view().data, DType::f32, {m, shape.num_heads, d}), cache, batch, y);
    return y;
  }

  static Tensor gather(const std::vector<const Sequence*>& seqs, const std::vector<std::int64_t>& begins,
                       const std::vector<std::int64_t>& ends, Tensor Sequence::* member) {
    std::int64_t m = 0;
    for (std::size_t i = 0; i < seqs.size(); i++) m += ends[i] - begins[i];
    Tensor all = zeros(DType::f32, m, ((*seqs[0]).*member).view().dim(1));
    std::int64_t row = 0;
    for (std::size_t i = 0; i < seqs.size(); i++)
      for (std::int64_t t = begins[i]; t < ends[i]; t++, row++)
        std::memcpy(all.view().row<float>(row), (seqs[i]->*member).view().template row<float>(t),
                    static_cast<std::size_t>(all.view().dim(1)) * sizeof(float));
    return all;
  }

  // Of what the cache holds of tokens [0, end).
  ref::Matrix expected(const Sequence& s, std::int64_t begin, std::int64_t end) const {
    const bool quantized = cache.layout.quant_bits != 0;
    const ref::Matrix k = quantized ? stored_keys(s, end) : rounded(s.k.view().rows(0, end));
    const ref::Matrix v = quantized ? stored(s, end, ref::Half::values) : rounded(s.v.view().rows(0, end));
    return ref::attention(
        matrix(s.q.view().rows(begin, end - begin)), k, v,
        {shape.num_heads, shape.num_kv_heads, shape.head_dim, static_cast<double>(scale()), window});
  }
  ref::Matrix rounded(const View& view) const {  // what the cache can hold of it
    const Tensor copy = zeros(cache.layout.dtype, view.dim(0), view.dim(1));
    for (std::int64_t i = 0; i < view.shape.num_elements(); i++) set(copy, i, get(view, i));
    return matrix(copy);
  }

  ref::Matrix stored(const Sequence& s, std::int64_t num_tokens, ref::Half half) const {
    ref::Matrix result(num_tokens, shape.num_kv_heads * shape.head_dim);
    for (std::int64_t t = 0; t < num_tokens; t++)
      for (std::int64_t head = 0; head < shape.num_kv_heads; head++) {
        const auto row = ref::stored_row(cache, slot(s, t), head, half).values();
        for (std::int64_t c = 0; c < shape.head_dim; c++)
          result.at(t, head * shape.head_dim + c) = row[static_cast<std::size_t>(c)];
      }
    return result;
  }
  // As they were before the rotation.
  ref::Matrix stored_keys(const Sequence& s, std::int64_t num_tokens) const {
    ref::Matrix keys = stored(s, num_tokens, ref::Half::keys);
    if (cache.layout.quant_bits != 4) return keys;
    keys = ref::rotate_back(keys, shape.head_dim);
    for (std::int64_t t = 0; t < num_tokens; t++)
      for (std::int64_t c = 0; c < keys.num_columns; c++)
        keys.at(t, c) += static_cast<double>(get(centers, c));
    return keys;
  }
  std::int64_t slot(const Sequence& s, std::int64_t token) const {
    const std::int64_t block_len = cache.layout.block_len;
    return s.blocks[static_cast<std::size_t>(token / block_len)] * block_len + token % block_len;
  }

  float scale() const { return 1 / std::sqrt(static_cast<float>(shape.head_dim)); }

  Shape4 shape{};
  std::int64_t window = 0;
  KvLayer cache;
  Tensor centers;  // [num_kv_heads, head_dim] f32
  Tensor memory;
  std::vector<std::int32_t> free_blocks;
};

}  // namespace lmdeploy::ops
