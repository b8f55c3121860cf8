#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <numeric>
#include <random>
#include <vector>

#include "ops/ops.h"
#include "ops/roofs.h"
#include "ops/shape_matcher.h"

namespace lmdeploy::ops {
namespace {

constexpr std::int64_t kBlock = 64;
std::int64_t pair_of(DType t) {
  return t == DType::bf16 ? 2 : 1;
}

float get(DType t, const void* p, std::int64_t i) {
  switch (t) {
    case DType::f32:
      return static_cast<const float*>(p)[i];
    case DType::bf16:
      return to_float(static_cast<const bf16_t*>(p)[i]);
    default:
      return to_float(static_cast<const f16_t*>(p)[i]);
  }
}
void put(DType t, void* p, std::int64_t i, float v) {
  switch (t) {
    case DType::f32:
      static_cast<float*>(p)[i] = v;
      break;
    case DType::bf16:
      static_cast<bf16_t*>(p)[i] = from_float<bf16_t>(v);
      break;
    default:
      static_cast<f16_t*>(p)[i] = from_float<f16_t>(v);
      break;
  }
}
std::int64_t packed_idx(const PackedMatrix& w, std::int64_t row, std::int64_t col) {
  const std::int64_t pair = pair_of(w.dtype);
  const std::int64_t k_padded = (w.k + pair - 1) / pair * pair;
  return row / kBlock * kBlock * k_padded + col / pair * kBlock * pair + row % kBlock * pair + col % pair;
}

}  // namespace

PackedMatrix make_packed_matrix(Ctx& ctx, DType dtype, std::int64_t n, std::int64_t k) {
  PackedMatrix w;
  w.dtype = dtype;
  w.n = n;
  w.k = k;
  const std::int64_t pair = pair_of(dtype);
  w.data = Tensor(*ctx.allocator, dtype, {(n + kBlock - 1) / kBlock, (k + pair - 1) / pair, kBlock, pair});
  std::memset(w.data.view().data, 0, static_cast<std::size_t>(w.data.view().bytes()));
  return w;
}

void pack_rows(Ctx& ctx, const View& source, PackedMatrix& w, std::int64_t first_row) {
  ctx.pool->parallel_for(source.dim(0), [&](std::int64_t r, int) {
    for (std::int64_t c = 0; c < w.k; c++)
      put(w.dtype, w.data.view().data, packed_idx(w, first_row + r, c),
          get(source.dtype, source.data, r * source.row_stride + c));
  });
}

void embed(Ctx&, std::span<const std::int32_t> ids, const View& table, const View& y) {
  for (std::size_t i = 0; i < ids.size(); i++)
    for (std::int64_t c = 0; c < y.dim(1); c++)
      y.row<float>(static_cast<std::int64_t>(i))[c] =
          get(table.dtype, table.data, ids[i] * table.row_stride + c);
}
void embed(Ctx&, std::span<const std::int32_t> ids, const PackedMatrix& table, const View& y) {
  for (std::size_t i = 0; i < ids.size(); i++)
    for (std::int64_t c = 0; c < y.dim(1); c++)
      y.row<float>(static_cast<std::int64_t>(i))[c] =
          get(table.dtype, table.data.view().data, packed_idx(table, ids[i], c));
}

void rms_norm(Ctx&, const View& x, const View& weight, float eps, const View& y) {
  const std::int64_t d = weight.dim(0), rows = x.dim(0), inner = x.shape.rank() == 3 ? x.dim(1) : 1;
  for (std::int64_t i = 0; i < rows; i++)
    for (std::int64_t h = 0; h < inner; h++) {
      const float* in = x.row<float>(i) + h * d;
      double sum = 0;
      for (std::int64_t c = 0; c < d; c++) sum += double{in[c]} * double{in[c]};
      const float s = static_cast<float>(1.0 / std::sqrt(sum / static_cast<double>(d) + double{eps}));
      for (std::int64_t c = 0; c < d; c++)
        put(y.dtype, y.data, i * y.row_stride + h * d + c, in[c] * s * weight.as<float>()[c]);
    }
}

void linear(Ctx& ctx, const View& x, const PackedMatrix& w, const View& y, const LinearOptions& options) {
  CHECK(x.dtype == w.dtype && x.dim(1) == w.k && y.dim(1) == w.n && x.dim(0) == y.dim(0));
  const std::int64_t pair = pair_of(w.dtype), blocks = (w.n + kBlock - 1) / kBlock, m = x.dim(0);
  const std::int64_t k_pairs = (w.k + pair - 1) / pair;
  std::vector<float> xs(static_cast<std::size_t>(m * k_pairs * pair));
  for (std::int64_t i = 0; i < m; i++)
    for (std::int64_t c = 0; c < w.k; c++)
      xs[static_cast<std::size_t>(i * k_pairs * pair + c)] = get(x.dtype, x.data, i * x.row_stride + c);
  ctx.pool->parallel_for(blocks, [&](std::int64_t b, int) {
    std::vector<float> wide(static_cast<std::size_t>(k_pairs * pair * kBlock));
    for (std::int64_t p = 0; p < k_pairs; p++)
      for (std::int64_t j = 0; j < kBlock; j++)
        for (std::int64_t q = 0; q < pair; q++)
          wide[static_cast<std::size_t>((p * pair + q) * kBlock + j)] =
              get(w.dtype, w.data.view().data, ((b * k_pairs + p) * kBlock + j) * pair + q);
    for (std::int64_t i = 0; i < m; i++) {
      float acc[kBlock] = {};
      const float* in = xs.data() + i * k_pairs * pair;
      for (std::int64_t c = 0; c < k_pairs * pair; c++)
        for (std::int64_t j = 0; j < kBlock; j++)
          acc[j] += in[c] * wide[static_cast<std::size_t>(c * kBlock + j)];
      float* out = y.row<float>(i) + b * kBlock;
      for (std::int64_t j = 0; j < std::min(kBlock, w.n - b * kBlock); j++) {
        float v = acc[j];
        if (!options.bias.empty()) v += options.bias.as<float>()[b * kBlock + j];
        out[j] = options.accumulate ? out[j] + v : v;
      }
    }
  });
}

void rope_table(Ctx&, std::span<const std::int32_t> positions, std::span<const float> inv_freq, float scale,
                const View& y) {
  const auto half = static_cast<std::int64_t>(inv_freq.size());
  for (std::size_t i = 0; i < positions.size(); i++)
    for (std::int64_t j = 0; j < half; j++) {
      const float angle = static_cast<float>(positions[i]) * inv_freq[static_cast<std::size_t>(j)];
      y.row<float>(static_cast<std::int64_t>(i))[j] = std::cos(angle) * scale;
      y.row<float>(static_cast<std::int64_t>(i))[half + j] = std::sin(angle) * scale;
    }
}
void rope(Ctx&, const View& x, const View& table) {
  const std::int64_t half = x.dim(2) / 2;
  for (std::int64_t i = 0; i < x.dim(0); i++)
    for (std::int64_t h = 0; h < x.dim(1); h++) {
      float* v = x.row<float>(i) + h * 2 * half;
      const float* t = table.row<float>(i);
      for (std::int64_t j = 0; j < half; j++) {
        const float a = v[j], b = v[j + half];
        v[j] = a * t[j] - b * t[half + j];
        v[j + half] = b * t[j] + a * t[half + j];
      }
    }
}

void store_kv(Ctx&, const View& k, const View& v, std::span<const std::int32_t> slots, const KvLayer& cache) {
  const KvLayout& l = cache.layout;
  for (std::size_t i = 0; i < slots.size(); i++) {
    char* block = static_cast<char*>(cache.data) + slots[i] / l.block_len * l.block_bytes();
    const std::int64_t t = slots[i] % l.block_len, row = l.num_kv_heads * l.head_dim;
    for (std::int64_t c = 0; c < row; c++) {
      put(l.dtype, block, t * row + c, k.row<float>(static_cast<std::int64_t>(i))[c]);
      put(l.dtype, block, (l.block_len + t) * row + c, v.row<float>(static_cast<std::int64_t>(i))[c]);
    }
  }
}

void attention(Ctx& ctx, const View& q, const KvLayer& cache, const AttentionBatch& batch, const View& y) {
  const KvLayout& l = cache.layout;
  const std::int64_t h = q.dim(1), d = q.dim(2), group = h / l.num_kv_heads, row = l.num_kv_heads * d;
  for (std::size_t s = 0; s < batch.context_lens.size(); s++) {
    const std::int64_t first = batch.query_starts[s], len = batch.query_starts[s + 1] - first;
    const auto* table = batch.block_tables.data() + static_cast<std::int64_t>(s) * batch.max_blocks;
    ctx.pool->parallel_for(len * h, [&](std::int64_t task, int) {
      const std::int64_t i = task / h, head = task % h, g = head / group;
      const std::int64_t pos = batch.context_lens[s] - len + i;
      const std::int64_t from =
          batch.sliding_window > 0 ? std::max<std::int64_t>(0, pos - batch.sliding_window + 1) : 0;
      const auto block = [&](std::int64_t t) {
        return static_cast<const char*>(cache.data) + table[t / l.block_len] * l.block_bytes();
      };
      std::vector<float> p(static_cast<std::size_t>(pos + 1)), acc(static_cast<std::size_t>(d));
      const float* in = q.row<float>(first + i) + head * d;
      float peak = -INFINITY, sum = 0;
      for (std::int64_t t = from; t <= pos; t++) {
        float dot = 0;
        for (std::int64_t c = 0; c < d; c++)
          dot += in[c] * get(l.dtype, block(t), t % l.block_len * row + g * d + c);
        p[static_cast<std::size_t>(t)] = dot * batch.scale;
        peak = std::max(peak, dot * batch.scale);
      }
      for (std::int64_t t = from; t <= pos; t++) {
        const float e = std::exp(p[static_cast<std::size_t>(t)] - peak);
        sum += e;
        for (std::int64_t c = 0; c < d; c++)
          acc[static_cast<std::size_t>(c)] +=
              e * get(l.dtype, block(t), (l.block_len + t % l.block_len) * row + g * d + c);
      }
      for (std::int64_t c = 0; c < d; c++)
        put(y.dtype, y.data, (first + i) * y.row_stride + head * d + c,
            acc[static_cast<std::size_t>(c)] / sum);
    });
  }
}

void silu_mul(Ctx&, const View& x, const View& y) {
  const std::int64_t k = y.dim(1);
  for (std::int64_t i = 0; i < y.dim(0); i++)
    for (std::int64_t c = 0; c < k; c++) {
      const float a = x.row<float>(i)[c], b = x.row<float>(i)[k + c];
      put(y.dtype, y.data, i * y.row_stride + c, a / (1 + std::exp(-a)) * b);
    }
}

void cast(Ctx&, const View& x, const View& y) {
  for (std::int64_t i = 0; i < y.dim(0); i++)
    for (std::int64_t c = 0; c < y.dim(1); c++)
      put(y.dtype, y.data, i * y.row_stride + c, get(x.dtype, x.data, i * x.row_stride + c));
}

void token_logprobs(Ctx&, const View& logits, std::span<const std::int32_t> targets,
                    std::span<float> logprobs) {
  for (std::size_t i = 0; i < targets.size(); i++) {
    const float* row = logits.row<float>(static_cast<std::int64_t>(i));
    const float peak = *std::max_element(row, row + logits.dim(1));
    double sum = 0;
    for (std::int64_t c = 0; c < logits.dim(1); c++) sum += std::exp(double{row[c]} - double{peak});
    logprobs[i] = static_cast<float>(double{row[targets[i]]} - double{peak} - std::log(sum));
  }
}

void sample(Ctx& ctx, const View& logits, std::span<const SamplingRow> rows, std::span<std::int32_t> tokens,
            std::span<float> logprobs) {
  const std::int64_t v = logits.dim(1);
  for (std::size_t i = 0; i < rows.size(); i++) {
    const SamplingRow& r = rows[i];
    float* row = logits.row<float>(static_cast<std::int64_t>(i));
    std::vector<float> raw(row, row + v);
    for (const std::int32_t id : r.penalized_ids)
      row[id] = row[id] > 0 ? row[id] / r.repetition_penalty : row[id] * r.repetition_penalty;
    for (const std::int32_t id : r.banned_ids) row[id] = -INFINITY;
    std::vector<std::int32_t> order(static_cast<std::size_t>(v));
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return row[a] > row[b]; });
    std::int32_t pick = order[0];
    if (!(row[pick] > -INFINITY)) pick = -1;
    if (pick >= 0 && r.temperature > 0) {
      std::size_t count =
          r.top_k > 0 ? std::min<std::size_t>(static_cast<std::size_t>(r.top_k), order.size()) : order.size();
      std::vector<double> p(count);
      double sum = 0;
      for (std::size_t j = 0; j < count; j++)
        sum += p[j] = std::exp((double{row[order[j]]} - double{row[order[0]]}) / double{r.temperature});
      double cum = 0;
      std::size_t keep = 0;
      while (keep < count &&
             (keep == 0 || (cum / sum < double{r.top_p} && p[keep] >= double{r.min_p} * p[0])))
        cum += p[keep++];
      std::mt19937_64 rng(r.seed * 1000003 + r.draw);
      double u = std::uniform_real_distribution<double>(0, cum)(rng);
      std::size_t j = 0;
      while (j + 1 < keep && u >= p[j]) u -= p[j++];
      pick = order[j];
    }
    tokens[i] = pick;
    if (!logprobs.empty() && pick >= 0) {
      float lp = 0;
      const std::int32_t target[1] = {pick};
      token_logprobs(ctx, View(raw.data(), DType::f32, {1, v}), target, {&lp, 1});
      logprobs[i] = lp;
    }
  }
}

Roofs measure_roofs(Ctx& ctx) {
  using Clock = std::chrono::steady_clock;
  const std::int64_t chunk = 1 << 20, chunks = 256;
  Tensor buffer(*ctx.allocator, DType::f32, {chunks, chunk / 4});
  ctx.pool->parallel_for(chunks,
                         [&](std::int64_t i, int) { std::memset(buffer.view().row<float>(i), 1, chunk); });
  std::vector<std::uint64_t> sums(static_cast<std::size_t>(chunks));
  const auto begin = Clock::now();
  ctx.pool->parallel_for(chunks, [&](std::int64_t i, int) {
    const auto* p = reinterpret_cast<const std::uint64_t*>(buffer.view().row<float>(i));
    for (std::int64_t j = 0; j < chunk / 8; j++) sums[static_cast<std::size_t>(i)] += p[j];
  });
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  return {static_cast<double>(chunk * chunks) / seconds, 2e11};
}

}  // namespace lmdeploy::ops
