#pragma once
// All arithmetic of the models, as free functions over views. <op>.cc checks shapes and dispatches on the
// device; headers of ref/, cpu/ and cuda/ are private to this folder.
//
// Letters: m rows (tokens), n outputs, k inputs, h query heads, g kv heads, d head_dim, v vocabulary.
// The residual stream and the outputs of linear layers are f32; what a linear layer reads has the dtype
// of its weights' format.
//
// On the CPU numbers do not depend on company: an output element is accumulated in one order whatever m is,
// and attention is split at fixed positions counted from 0. So a sequence's results are bit-equal alone,
// batched, chunked and recomputed (docs/structure.md). On a card the number of rows and sequences chooses the
// kernels and their splits, and results agree by tolerance; with ctx.deterministic it is the CPU's promise
// there, too.
#include <cstdint>
#include <span>
#include <vector>

#include "ops/indices.h"
#include "ops/kv_layer.h"
#include "ops/packed_matrix.h"
#include "quant/group_grid.h"
#include "tensor/ctx.h"

namespace lmdeploy::ops {

// Token ids some of which only the device knows: y[i] = ids[i], but drawn[~ids[i]] where that is below 0, and
// 0 where nothing was drawn there (-1). drawn: [n] i32; y: [m] i32, borrowed by the ids that are returned.
Indices resolve_ids(Ctx& ctx, const Indices& ids, const View& drawn, const View& y);

// y[i] = table[ids[i]]. y: [m, k] f32. The packed overload reads the rows out of a tied head.
void embed(Ctx& ctx, const Indices& ids, const View& table /* [v, k] */, const View& y);
void embed(Ctx& ctx, const Indices& ids, const PackedMatrix& table /* [v, k] */, const View& y);

// y = x / sqrt(mean(x^2) + eps) * weight over the last dimension (Zhang & Sennrich 2019, eq. 4).
// x: [m, k] or [m, h, d] f32; weight: [k] or [d] f32; y: x's shape, f32, bf16 or f16 (may be x itself).
void rms_norm(Ctx& ctx, const View& x, const View& weight, float eps, const View& y);

struct LinearOptions {
  View bias;                // [n] f32, or empty
  bool accumulate = false;  // y += instead of y =
};
// y = x W^T (+ bias). x: [m, k] of w.dtype(); y: [m, n] f32.
void linear(Ctx& ctx, const View& x, const PackedMatrix& w, const View& y, const LinearOptions& options = {});

// The rms_norm in front of a linear layer.
struct InputNorm {
  View weight;  // [k] f32
  float eps = 0;
};
// linear() of rms_norm(x), which is rounded to w.dtype(). x: [m, k] f32.
void normed_linear(Ctx& ctx, const View& x, const InputNorm& norm, const PackedMatrix& w, const View& y,
                   const LinearOptions& options = {});
// SwiGLU (Shazeer 2020) of rms_norm(x): y = silu(gate) * up, which are the first n and the last n outputs of
// w, [2n, k]. x: [m, k] f32; bias: [2n] f32, or empty; y: [m, n] of w.dtype(). On a card gate and up of many
// rows are rounded to w.dtype() in between.
void normed_swiglu(Ctx& ctx, const View& x, const InputNorm& norm, const PackedMatrix& w, const View& bias,
                   const View& y);

// Row i: cos(positions[i] * inv_freq) * scale in [0, d/2), sin(...) * scale in [d/2, d). y: [m, d] f32;
// inv_freq: [d/2].
void rope_table(Ctx& ctx, const Indices& positions, std::span<const float> inv_freq, float scale,
                const View& y);
// Rotates the pairs (x[j], x[j + d/2]) in place (Su et al. 2021, the half-split form of GPT-NeoX).
// x: [m, h, d] f32; table: [m, d] from rope_table.
void rope(Ctx& ctx, const View& x, const View& table);

// Writes k and v, [m, g, d] f32, to the slots of one layer's cache; slot = block * block_len + offset.
void store_kv(Ctx& ctx, const View& k, const View& v, const Indices& slots, const KvLayer& cache);
// What lies between a layer's projection and its attention: rope of q and k, and store_kv of the rotated k. k
// is scratch and has either form afterwards. q: [m, h, d] f32; table: [m, d] from rope_table.
void rope_and_store(Ctx& ctx, const View& q, const View& k, const View& v, const View& table,
                    const Indices& slots, const KvLayer& cache);
// The keys of these slots, [m, g, d] f32, of a cache that is not quantised.
void read_keys(Ctx& ctx, const KvLayer& cache, const Indices& slots, const View& y);

// Which tokens belong together in this step (see model/batch.h).
struct AttentionBatch {
  Indices query_starts;  // [num_seqs + 1]: rows of q
  Indices context_lens;  // [num_seqs]: tokens in the cache, this step's included
  Indices block_tables;  // [num_seqs, max_blocks]
  std::int32_t max_blocks = 0;
  float scale = 1;                  // of q.k, before the softmax
  std::int32_t sliding_window = 0;  // 0: none; otherwise position p sees (p - window, p]
};
// Causal attention over the paged cache; the step's own keys must already be stored. q: [m, h, d] f32; the
// query at row i of sequence s has position context_len - query_len + i. y: [m, h * d] f32, bf16 or f16.
void attention(Ctx& ctx, const View& q, const KvLayer& cache, const AttentionBatch& batch, const View& y);
// What lies between a layer's two projections, of tokens that are not rotated and not stored yet.
struct ProjectedRows {
  View q;         // [m, h, d] f32
  View k, v;      // [m, g, d] f32
  View table;     // [m, d] from rope_table
  Indices slots;  // [m]: where the cache keeps them
};
// rope_and_store and attention of a step in which every sequence has one query, its last token: a decode
// step. q and k are scratch and have either form afterwards. y: [m, h * d] f32, bf16 or f16. On a card this
// is one kernel, which reads the batch's integers and the cache's earlier tokens before its predecessor has
// ended: between it and whoever wrote them lies a transfer or the beginning of a graph, as ops::upload is
// one.
void store_and_attend(Ctx& ctx, const ProjectedRows& rows, const KvLayer& cache, const AttentionBatch& batch,
                      const View& y);

// y = silu(x[:, :k]) * x[:, k:]. x: [m, 2k] f32; y: [m, k] f32, bf16 or f16.
void silu_mul(Ctx& ctx, const View& x, const View& y);

// Between host memory and the memory of ctx.device, of equal dtype and shape, without gaps between rows.
// Either side may be changed or freed when this returns; copy_to_host waits for what computes `device`.
void copy_from_host(Ctx& ctx, const View& host, const View& device);
void copy_to_host(Ctx& ctx, const View& device, const View& host);

// Copies and converts. Both [m, k]; f32, bf16, f16.
void cast(Ctx& ctx, const View& x, const View& y);

// y[:, j] = x[:, order[j]]. x: [m, k]; order: [n] i32, each below k; y: [m, n] of x's dtype.
void gather_columns(Ctx& ctx, const View& x, const View& order, const View& y);

// y = a b^T, or y += a b^T, of two matrices that are both computed: nothing is packed ahead. a: [m, k]; b:
// [n, k] of a's dtype, f32, bf16 or f16; y: [m, n] f32. Sums are f32, of f32 products (no TF32).
void matmul(Ctx& ctx, const View& a, const View& b, const View& y, bool accumulate = false);

// y[j, i] = x[i, j]. x: [m, k]; y: [k, m] of x's dtype, f32, bf16 or f16; they do not overlap.
void transpose(Ctx& ctx, const View& x, const View& y);

// y = a - b, rounded to the one dtype of all three, f32, bf16 or f16. [m, k]; y may be a or b.
void subtract(Ctx& ctx, const View& a, const View& b, const View& y);

// y[i, j] = x[i, j] * factors[j]. x and y: [m, k] f32, y may be x; factors: [k] f32.
void multiply_columns(Ctx& ctx, const View& x, const View& factors, const View& y);

// What activations come to, channel by channel, in memory of the device; zeros before the first tokens.
struct ChannelStatistics {
  View abs_max;     // [k] f32: the largest |x|
  View abs_sum;     // [2, k] f32: the sum of |x|, and what its rounding has left out of it (Kahan 1965)
  View not_finite;  // [k] i32: elements that are infinite or NaN; they count nowhere else
};
// Adds m tokens. x: [m, k] f32, bf16 or f16.
void add_channel_statistics(Ctx& ctx, const View& x, const ChannelStatistics& statistics);

// sums[i] = sum over j of x[i, j]^2, in double. x: [m, n] f32.
void row_squares(Ctx& ctx, const View& x, std::span<double> sums);

// What rounding changes in weights that are scaled for it (Lin et al. 2023, section 3.2): errors = r(w s) / s
// - w, where r takes every group to the grid that its own range spans (quant/group_grid.h). w: [n, k] f32;
// scales: [k] f32; errors: [n, k] f32, bf16 or f16. A weight that is not a number, and a range that
// options.scale_dtype cannot hold, throw Error on the CPU and become NaN on a card.
void scaled_rounding_errors(Ctx& ctx, const View& w, const View& scales, const RoundingOptions& options,
                            const View& errors);

// Which clip_share of its range each group's grid shall span, for the least squared error of what the group
// adds to its output, e G e^T; the larger share among equals. w: [n, k] f32; grams: [k, group_size] f32, row
// i the products of input i with the inputs of its group; choices: [n, k / group_size] u8. On a card groups
// have at most 256 inputs.
void choose_clipping(Ctx& ctx, const View& w, const View& grams, const RoundingOptions& options,
                     const View& choices);

// logprobs[i] = log_softmax(logits[i])[targets[i]], accumulated in double. A target of -1 is passed over and
// leaves 0. logits: [m, v] f32.
void token_logprobs(Ctx& ctx, const View& logits, std::span<const std::int32_t> targets,
                    std::span<float> logprobs);

struct IdLogprob {
  std::int32_t id;
  float logprob;
};
// tops[i]: the counts[i] most likely ids of logits[i], the most likely first, the lower id first among
// equals; as token_logprobs would give them. All v where counts[i] is more, none where a logit is NaN or
// +inf.
void top_logprobs(Ctx& ctx, const View& logits, std::span<const std::int32_t> counts,
                  std::span<std::vector<IdLogprob>> tops);

// kl[i] = KL(softmax(p[i]) || softmax(q[i])) in nats, in double throughout: the divergences that matter lie
// below what f32 keeps of their terms. Exactly 0 where the rows are equal. p, q: [m, v] f32.
void kl_divergence(Ctx& ctx, const View& p, const View& q, std::span<double> kl);

struct IdBias {
  std::int32_t id;
  float bias;
};
struct IdCount {
  std::int32_t id;
  std::int32_t count;
};
// One row's way from logits to a token, in this order: what the mask does not allow goes; logit_bias is
// added; repetition penalty (Keskar et al. 2019, section 4.1); frequency_penalty * count + presence_penalty
// is subtracted (OpenAI); banned ids; temperature; top_k; top_p (Holtzman et al. 2020); min_p (Nguyen et al.
// 2024); typical_p (Meister et al. 2022); one draw. Each limit sees what the one before it has left.
// temperature 0 is argmax, the lowest id winning a tie.
struct SamplingRow {
  float temperature = 1;
  std::int32_t top_k = 0;  // 0: all
  float top_p = 1;
  float min_p = 0;
  float typical_p = 1;
  float repetition_penalty = 1;
  float presence_penalty = 0;
  float frequency_penalty = 0;
  std::span<const IdBias> logit_bias = {};           // distinct ids
  std::span<const std::int32_t> penalized_ids = {};  // distinct ids that the repetition penalty applies to
  std::span<const IdCount> answer_counts = {};    // distinct ids that presence and frequency penalty apply to
  std::span<const std::int32_t> banned_ids = {};  // never drawn
  // Bit id % 32 of word id / 32 is set where a token may be drawn: (v + 31) / 32 words; empty: all may.
  std::span<const std::uint32_t> allowed_mask = {};
  std::uint64_t seed = 0;  // with `draw`, decides the random number: no state, no order
  std::uint64_t draw = 0;  // how many tokens this sequence has drawn before
};
// tokens[i] from logits[i], which is scratch meanwhile and as before afterwards. logits: [m, v] f32. A row of
// NaN, or with every id banned, yields -1.
void sample(Ctx& ctx, const View& logits, std::span<const SamplingRow> rows, std::span<std::int32_t> tokens);

}  // namespace lmdeploy::ops
