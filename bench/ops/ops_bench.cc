// GB/s and GFLOP/s of the ops, beside the machine's ceilings measured in the same run.
//   ops_bench [--benchmark_filter=linear] [--benchmark_repetitions=3]
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <vector>

#include "ops/ops.h"
#include "ops/roofs.h"

namespace lmdeploy::ops {
namespace {

class Machine {
 public:
  Machine() {
    ctx.pool = &pool_;
    ctx.allocator = &host_allocator();
    ctx.workspace = &workspace_;
    roofs = measure_roofs(ctx);
  }

  Tensor random(DType dtype, std::int64_t rows, std::int64_t columns) {
    Tensor f32(host_allocator(), DType::f32, {rows, columns});
    pool_.parallel_for(rows, [&](std::int64_t row, int) {
      std::minstd_rand rng(static_cast<unsigned>(row + 1));
      float* x = f32.view().row<float>(row);
      for (std::int64_t c = 0; c < columns; c++) x[c] = static_cast<float>(rng() % 2001) * 1e-3F - 1;
    });
    if (dtype == DType::f32) return f32;
    Tensor tensor(host_allocator(), dtype, {rows, columns});
    cast(ctx, f32, tensor);
    return tensor;
  }

  Ctx ctx;
  Roofs roofs;

 private:
  ThreadPool pool_;
  Workspace workspace_{host_allocator()};
};

Machine& machine() {
  static Machine instance;
  return instance;
}

void set_rates(benchmark::State& state, double bytes, double flops, bool int8 = false) {
  using benchmark::Counter;
  const Roofs& roofs = machine().roofs;
  const auto rate = Counter::kIsIterationInvariantRate;
  if (bytes > 0) {
    state.counters["GB/s"] = Counter(bytes / 1e9, rate);
    state.counters["of_read"] = Counter(bytes / roofs.read_bytes_per_s, rate);
  }
  if (flops > 0) {
    state.counters["GFLOP/s"] = Counter(flops / 1e9, rate);
    state.counters["of_peak"] = Counter(flops / (int8 ? roofs.int8_ops : roofs.bf16_flops), rate);
  }
}

// Of 8 bits, below the largest number and NaN.
struct RandomFloats {
  RandomFloats(std::int64_t n, std::int64_t k, std::int64_t group_size)
      : q(host_allocator(), DType::u8, {n, k}), scales(host_allocator(), DType::f32, {n, k / group_size}) {
    std::mt19937 rng(1);
    std::generate_n(q.view().as<std::uint8_t>(), n * k,
                    [&] { return static_cast<std::uint8_t>(rng() % 0x7e); });
    std::fill_n(scales.view().as<float>(), n * k / group_size, 0.01F);
  }
  QuantizedRows rows() const { return {q, scales, {}}; }

  Tensor q, scales;
};

PackedMatrix random_matrix(const MatrixFormat& format, std::int64_t n, std::int64_t k) {
  Machine& mc = machine();
  const Tensor w = mc.random(format.dtype, n, k);
  PackedMatrix packed = make_packed_matrix(mc.ctx, format, n, k);
  if (format.quant && format.quant->code == WeightCode::e4m3)
    pack_quantized_rows(mc.ctx, RandomFloats(n, k, format.quant->group_size).rows(), packed, 0);
  else if (format.quant)
    quantize_rows(mc.ctx, w, packed, 0);
  else
    ops::pack_rows(mc.ctx, w, packed, 0);
  return packed;
}

// Enough copies of the weights that each pass reads memory and not a cache.
void linear(benchmark::State& state, const MatrixFormat& format) {
  constexpr std::int64_t kFlushBytes = 200 << 20;
  Machine& mc = machine();
  const std::int64_t m = state.range(0), n = state.range(1), k = state.range(2);
  const Tensor x = mc.random(format.dtype, m, k), y = mc.random(DType::f32, m, n);
  const std::int64_t bytes = packed_matrix_bytes(Device::cpu, format, n, k);
  const std::int64_t num_copies = m > 16 ? 2 : std::max<std::int64_t>(1, kFlushBytes / bytes);
  std::vector<PackedMatrix> copies;
  for (std::int64_t i = 0; i < num_copies; i++) copies.push_back(random_matrix(format, n, k));
  std::size_t next = 0;
  for (auto _ : state) ops::linear(mc.ctx, x, copies[next++ % copies.size()], y);
  set_rates(state, static_cast<double>(copies[0].bytes()), 2.0 * static_cast<double>(m * n * k),
            format.activations != Activations::as_they_are);
}
BENCHMARK_CAPTURE(linear, bf16, MatrixFormat{DType::bf16})
    ->ArgNames({"m", "n", "k"})
    ->ArgsProduct({{1, 8, 512}, {2048}, {2048, 8192}})
    ->ArgsProduct({{1, 8, 512}, {16384}, {2048}})
    ->ArgsProduct({{1}, {92544}, {2048}})
    ->ArgsProduct({{1, 8, 512}, {576, 960, 3072}, {576}})
    ->ArgsProduct({{1, 8, 512}, {576}, {1536}})
    ->UseRealTime();
BENCHMARK_CAPTURE(linear, f32, MatrixFormat{DType::f32})
    ->ArgsProduct({{1, 8, 512}, {2048}, {2048}})
    ->UseRealTime();
BENCHMARK_CAPTURE(linear, f16, MatrixFormat{DType::f16})
    ->ArgsProduct({{1, 8, 512}, {2048}, {2048}})
    ->UseRealTime();

MatrixFormat quantised(std::int32_t bits, std::int64_t group_size, Activations activations) {
  return {DType::bf16, QuantFormat{bits, group_size, DType::f16}, activations};
}
void quantised_shapes(benchmark::internal::Benchmark* linear) {
  linear->ArgNames({"m", "n", "k"})
      ->ArgsProduct({{1, 8, 512}, {2048}, {2048, 8192}})
      ->ArgsProduct({{1, 8, 512}, {16384}, {2048}})
      ->UseRealTime();
}
BENCHMARK_CAPTURE(linear, w4_g128_int8, quantised(4, 128, Activations::int8_per_group))
    ->Apply(quantised_shapes);
BENCHMARK_CAPTURE(linear, w4_g32_int8, quantised(4, 32, Activations::int8_per_group))
    ->Apply(quantised_shapes);
BENCHMARK_CAPTURE(linear, w4_g128_exact, quantised(4, 128, Activations::as_they_are))
    ->Apply(quantised_shapes);
BENCHMARK_CAPTURE(linear, w8_g64_int8, quantised(8, 64, Activations::int8_per_group))
    ->Apply(quantised_shapes);
BENCHMARK_CAPTURE(linear, w8_g64_exact, quantised(8, 64, Activations::as_they_are))->Apply(quantised_shapes);
BENCHMARK_CAPTURE(linear, fp8_g128,
                  MatrixFormat{DType::bf16, QuantFormat{8, 128, DType::bf16, WeightCode::e4m3}})
    ->Apply(quantised_shapes);
BENCHMARK_CAPTURE(linear, w8a8, quantised(8, 2048, Activations::int8_per_row))->Apply(quantised_shapes);

// batch sequences of `context` tokens, the last `queries` of each new; kv: bits of the codes, 0: bf16.
void attention(benchmark::State& state) {
  constexpr std::int32_t kBlockLen = 64;
  Machine& mc = machine();
  const std::int64_t h = state.range(0), g = state.range(1), d = state.range(2), batch = state.range(3),
                     queries = state.range(4), context = state.range(5), kv = state.range(6);
  const std::int64_t blocks_each = (context + kBlockLen - 1) / kBlockLen;
  KvLayer cache;
  cache.layout = {DType::bf16, static_cast<std::int32_t>(g), static_cast<std::int32_t>(d), kBlockLen,
                  static_cast<std::int32_t>(kv)};
  // Several layers, or small contexts would come from the caches.
  const std::int64_t layer_bytes = cache.layout.block_bytes() * blocks_each * batch;
  const std::int64_t num_layers = queries > 1 ? 1 : std::max<std::int64_t>(1, (200 << 20) / layer_bytes);
  cache.num_blocks = blocks_each * batch * num_layers;
  const Tensor memory(host_allocator(), DType::u8, {cache.num_blocks * cache.layout.block_bytes()});
  cache.data = memory.view().data;
  cache.block_stride = cache.layout.block_bytes();
  const Tensor rows = mc.random(DType::f32, cache.num_blocks * kBlockLen, g * d);
  std::vector<std::int32_t> slots(static_cast<std::size_t>(cache.num_blocks * kBlockLen));
  std::iota(slots.begin(), slots.end(), 0);
  const View keys_and_values(rows.view().data, DType::f32, {cache.num_blocks * kBlockLen, g, d});
  store_kv(mc.ctx, keys_and_values, keys_and_values, slots, cache);

  std::vector<std::int32_t> starts = {0}, lens, tables(static_cast<std::size_t>(cache.num_blocks));
  for (std::int64_t s = 0; s < batch; s++) {
    starts.push_back(starts.back() + static_cast<std::int32_t>(queries));
    lens.push_back(static_cast<std::int32_t>(context));
  }
  for (std::int64_t i = 0; i < cache.num_blocks; i++) {  // the layers of a block lie side by side
    const std::int64_t blocks_of_layer = cache.num_blocks / num_layers;
    tables[static_cast<std::size_t>(i)] =
        static_cast<std::int32_t>(i % blocks_of_layer * num_layers + i / blocks_of_layer);
  }
  const Tensor q = mc.random(DType::f32, batch * queries, h * d);
  const Tensor y(host_allocator(), DType::bf16, {batch * queries, h * d});
  std::int64_t layer = 0;
  const auto layer_entries = static_cast<std::size_t>(blocks_each * batch);
  for (auto _ : state) {
    AttentionBatch b;
    b.query_starts = starts;
    b.context_lens = lens;
    b.block_tables = std::span(tables).subspan(static_cast<std::size_t>(layer++ % num_layers) * layer_entries,
                                               layer_entries);
    b.max_blocks = static_cast<std::int32_t>(blocks_each);
    b.scale = 0.1F;
    ops::attention(mc.ctx, View(q.view().data, DType::f32, {batch * queries, h, d}), cache, b, y);
  }
  const double pairs =
      static_cast<double>(queries) * (static_cast<double>(context) - static_cast<double>(queries - 1) / 2);
  set_rates(state, queries == 1 ? static_cast<double>(layer_bytes) : 0,
            queries == 1 ? 0 : 4.0 * pairs * static_cast<double>(batch * h * d));
}
BENCHMARK(attention)
    ->ArgNames({"h", "g", "d", "batch", "queries", "context", "kv"})
    ->ArgsProduct({{16}, {8}, {128}, {1, 8}, {1}, {128, 1024}, {0}})
    ->ArgsProduct({{16}, {8}, {128}, {1, 8}, {1}, {4096, 8192}, {0, 8, 4}})
    ->ArgsProduct({{9}, {3}, {64}, {1, 8}, {1}, {128, 1024}, {0}})
    ->ArgsProduct({{9}, {3}, {64}, {1, 8}, {1}, {4096, 8192}, {0, 8, 4}})
    ->ArgsProduct({{16}, {8}, {128}, {1}, {512}, {512, 4096}, {0, 8, 4}})
    ->ArgsProduct({{9}, {3}, {64}, {1}, {512}, {512, 4096}, {0, 8, 4}})
    ->UseRealTime();

void pack_rows(benchmark::State& state) {
  Machine& mc = machine();
  const std::int64_t n = 16384, k = 2048;
  const Tensor w = mc.random(DType::bf16, n, k);
  for (auto _ : state) {  // fresh pages each time, as at load
    PackedMatrix packed = make_packed_matrix(mc.ctx, {DType::bf16}, n, k);
    ops::pack_rows(mc.ctx, w, packed, 0);
  }
  set_rates(state, static_cast<double>(w.view().bytes()), 0);
}
BENCHMARK(pack_rows)->UseRealTime();

void rms_norm(benchmark::State& state) {
  Machine& mc = machine();
  const std::int64_t m = state.range(0), k = state.range(1);
  const Tensor x = mc.random(DType::f32, m, k), w = mc.random(DType::f32, 1, k),
               y = mc.random(DType::bf16, m, k);
  const View weight(w.view().data, DType::f32, {k});
  for (auto _ : state) ops::rms_norm(mc.ctx, x, weight, 1e-5F, y);
  set_rates(state, 6.0 * static_cast<double>(m * k), 0);
}
BENCHMARK(rms_norm)->ArgsProduct({{1, 512}, {576, 2048}})->UseRealTime();

void silu_mul(benchmark::State& state) {
  Machine& mc = machine();
  const std::int64_t m = state.range(0), k = state.range(1);
  const Tensor x = mc.random(DType::f32, m, 2 * k), y = mc.random(DType::bf16, m, k);
  for (auto _ : state) ops::silu_mul(mc.ctx, x, y);
  set_rates(state, 10.0 * static_cast<double>(m * k), 0);
}
BENCHMARK(silu_mul)->ArgsProduct({{1, 512}, {1536, 8192}})->UseRealTime();

void sample(benchmark::State& state, SamplingRow row) {
  Machine& mc = machine();
  const std::int64_t m = state.range(0), v = 92544;
  const Tensor logits = mc.random(DType::f32, m, v);
  std::vector<SamplingRow> rows(static_cast<std::size_t>(m), row);
  std::vector<std::int32_t> tokens(rows.size());
  for (auto _ : state) {
    for (SamplingRow& r : rows) r.draw++;
    ops::sample(mc.ctx, logits, rows, tokens);
  }
}

SamplingRow sampling(float temperature, std::int32_t top_k, float top_p) {
  SamplingRow row;
  row.temperature = temperature;
  row.top_k = top_k;
  row.top_p = top_p;
  return row;
}
BENCHMARK_CAPTURE(sample, greedy, sampling(0, 0, 1))->Arg(1)->Arg(8)->UseRealTime();
BENCHMARK_CAPTURE(sample, top_k_top_p, sampling(0.8F, 40, 0.8F))->Arg(1)->UseRealTime();
BENCHMARK_CAPTURE(sample, top_p, sampling(1, 0, 0.9F))->Arg(1)->UseRealTime();
BENCHMARK_CAPTURE(sample, typical_p, SamplingRow{.typical_p = 0.9F})->Arg(1)->UseRealTime();

void top_20_logprobs(benchmark::State& state) {
  Machine& mc = machine();
  const Tensor logits = mc.random(DType::f32, 1, 92544);
  const std::int32_t count = 20;
  std::vector<std::vector<IdLogprob>> tops(1);
  for (auto _ : state) top_logprobs(mc.ctx, logits, {&count, 1}, tops);
}
BENCHMARK(top_20_logprobs)->UseRealTime();

// What a parallel loop costs by itself.
void fork_join(benchmark::State& state) {
  Machine& mc = machine();
  const std::function<void(std::int64_t, int)> nothing = [](std::int64_t, int) {};
  for (auto _ : state) mc.ctx.pool->parallel_for(2, nothing);
}
BENCHMARK(fork_join)->UseRealTime();

}  // namespace
}  // namespace lmdeploy::ops

int main(int argc, char** argv) {
  const auto& machine = lmdeploy::ops::machine();
  fmt::print("{} threads, {}: read {:.1f} GB/s, {:.0f} GFLOP/s, int8 {:.0f} GOP/s\n",
             machine.ctx.pool->num_threads(), lmdeploy::cpu_isa_name(machine.ctx.cpu_isa),
             machine.roofs.read_bytes_per_s / 1e9, machine.roofs.bf16_flops / 1e9,
             machine.roofs.int8_ops / 1e9);
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
