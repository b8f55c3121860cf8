#pragma once
// The ops on the CPU: arguments are checked, the work is split over threads. Same contracts as ops.h.
#include "ops/ops.h"
#include "ops/roofs.h"

namespace lmdeploy::ops::cpu {

std::int64_t packed_matrix_bytes(const MatrixFormat& format, std::int64_t n, std::int64_t k);
PackedMatrix make_packed_matrix(Ctx& ctx, const MatrixFormat& format, std::int64_t n, std::int64_t k);
void pack_rows(Ctx& ctx, const View& source, PackedMatrix& matrix, std::int64_t first_row);
void pack_quantized_rows(Ctx& ctx, const QuantizedRows& source, PackedMatrix& matrix, std::int64_t first_row);
void quantize_rows(Ctx& ctx, const View& source, PackedMatrix& matrix, std::int64_t first_row);

void resolve_ids(Ctx& ctx, std::span<const std::int32_t> ids, const View& drawn, const View& y);
void embed(Ctx& ctx, std::span<const std::int32_t> ids, const View& table, const View& y);
void embed(Ctx& ctx, std::span<const std::int32_t> ids, const PackedMatrix& table, const View& y);
void rms_norm(Ctx& ctx, const View& x, const View& weight, float eps, const View& y);
void linear(Ctx& ctx, const View& x, const PackedMatrix& w, const View& y, const LinearOptions& options);
void rope_table(Ctx& ctx, std::span<const std::int32_t> positions, std::span<const float> inv_freq,
                float scale, const View& y);
void rope(Ctx& ctx, const View& x, const View& table);
void store_kv(Ctx& ctx, const View& k, const View& v, std::span<const std::int32_t> slots,
              const KvLayer& cache);
void read_keys(Ctx& ctx, const KvLayer& cache, std::span<const std::int32_t> slots, const View& y);
void attention(Ctx& ctx, const View& q, const KvLayer& cache, const AttentionBatch& batch, const View& y);
void silu_mul(Ctx& ctx, const View& x, const View& y);
void cast(Ctx& ctx, const View& x, const View& y);
void gather_columns(Ctx& ctx, const View& x, const View& order, const View& y);
void matmul(Ctx& ctx, const View& a, const View& b, const View& y, bool accumulate);
void transpose(Ctx& ctx, const View& x, const View& y);
void subtract(Ctx& ctx, const View& a, const View& b, const View& y);
void multiply_columns(Ctx& ctx, const View& x, const View& factors, const View& y);
void add_channel_statistics(Ctx& ctx, const View& x, const ChannelStatistics& statistics);
void row_squares(Ctx& ctx, const View& x, std::span<double> sums);
void scaled_rounding_errors(Ctx& ctx, const View& w, const View& scales, const RoundingOptions& options,
                            const View& errors);
void choose_clipping(Ctx& ctx, const View& w, const View& grams, const RoundingOptions& options,
                     const View& choices);
void token_logprobs(Ctx& ctx, const View& logits, std::span<const std::int32_t> targets,
                    std::span<float> logprobs);
void top_logprobs(Ctx& ctx, const View& logits, std::span<const std::int32_t> counts,
                  std::span<std::vector<IdLogprob>> tops);
void kl_divergence(Ctx& ctx, const View& p, const View& q, std::span<double> kl);
void sample(Ctx& ctx, const View& logits, std::span<const SamplingRow> rows, std::span<std::int32_t> tokens);
Roofs measure_roofs(Ctx& ctx);

}  // namespace lmdeploy::ops::cpu
