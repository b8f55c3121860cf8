#include "cuda/projected_fixture.h"

namespace lmdeploy::ops {
namespace {

struct CacheKind {
  DType dtype;
  std::int32_t quant_bits;
  bool has_centers = true;
};
constexpr CacheKind kKinds[] = {
    {DType::bf16, 0}, {DType::f16, 0}, {DType::bf16, 8}, {DType::bf16, 4}, {DType::bf16, 4, false}};
// Groups at both edges of every number of rows that the kernel is built for; the last two are not its.
constexpr HeadShape kShapes[] = {{16, 8, 128}, {32, 8, 128}, {4, 4, 64},  {10, 2, 64}, {8, 1, 128},
                                 {9, 1, 64},   {32, 2, 128}, {9, 3, 96},  {14, 2, 96}, {4, 2, 256},
                                 {8, 1, 256},  {16, 1, 256}, {34, 2, 64}, {4, 2, 40}};

class CudaStoreAndAttend : public CudaProjectedTest {
 protected:
  // A decode step of sequences whose earlier tokens are stored. Owns what its views show.
  struct Decode {
    std::vector<Sequence> seqs;
    Tensor host;  // rows of [q, k, v]
    Slice angles;
    std::vector<std::int32_t> slots, starts = {0}, lens, tables;
    AttentionBatch batch;

    std::int64_t num_rows() const { return std::ssize(lens); }
  };

  // spare_blocks: of every block table, as a captured step has them.
  Decode make_decode(const std::vector<std::int64_t>& lens, std::int64_t lead, int spare_blocks = 0) {
    Decode d;
    std::vector<Part> earlier;
    std::vector<std::int32_t> positions;
    std::size_t max_blocks = 0;
    for (const std::int64_t len : lens) d.seqs.push_back(make_sequence(len, 1));
    for (std::size_t i = 0; i < lens.size(); i++) {
      if (lens[i] > 1) earlier.push_back({&d.seqs[i], 0, lens[i] - 1});
      max_blocks = std::max(max_blocks, d.seqs[i].blocks.size() + static_cast<std::size_t>(spare_blocks));
      d.slots.push_back(static_cast<std::int32_t>(slot(d.seqs[i], lens[i] - 1)));
      d.starts.push_back(static_cast<std::int32_t>(i + 1));
      d.lens.push_back(static_cast<std::int32_t>(lens[i]));
      positions.push_back(static_cast<std::int32_t>(lens[i] - 1));
    }
    if (!earlier.empty()) store(earlier);
    for (const Sequence& seq : d.seqs) {
      d.tables.insert(d.tables.end(), seq.blocks.begin(), seq.blocks.end());
      d.tables.resize((static_cast<std::size_t>(&seq - d.seqs.data()) + 1) * max_blocks, -1);
    }
    d.host = random(DType::f32, d.num_rows(), (shape.num_heads + 2 * shape.num_kv_heads) * shape.head_dim);
    d.angles = slice(DType::f32, d.num_rows(), shape.head_dim, lead);
    rope_table(ctx, positions, inv_freq(), 1.1F, d.angles.view);
    d.batch.query_starts = d.starts;
    d.batch.context_lens = d.lens;
    d.batch.block_tables = d.tables;
    d.batch.max_blocks = static_cast<std::int32_t>(max_blocks);
    d.batch.scale = scale();
    d.batch.sliding_window = static_cast<std::int32_t>(window);
    return d;
  }

  Slice result_of(const Decode& d, DType y_type, std::int64_t lead) {
    return slice(y_type, d.num_rows(), shape.num_heads * shape.head_dim, lead);
  }
  ProjectedRows rows_of(const Projected& p, const Decode& d) const {
    return {p.q, p.k, p.v, d.angles.view, d.slots};
  }
  void write_memory(const Tensor& image) {
    cuda::copy_to_device(memory.view().data, image.view().data,
                         static_cast<std::size_t>(image.view().bytes()), ctx.stream);
  }

  // Results and cache have the bits that rope_and_store and attention give.
  void expect_same_as_two_ops(const std::vector<std::int64_t>& lens, std::int64_t lead, DType y_type) {
    const Decode d = make_decode(lens, lead);
    const Tensor before = download(memory);
    const Projected two = projected(d.host, lead);
    const Slice expected = result_of(d, y_type, lead);
    rope_and_store(ctx, two.q, two.k, two.v, d.angles.view, d.slots, cache);
    attention(ctx, two.q, cache, d.batch, expected.view);
    const Tensor after = download(memory);

    write_memory(before);
    const Projected one = projected(d.host, lead);
    const Slice actual = result_of(d, y_type, lead);
    store_and_attend(ctx, rows_of(one, d), cache, d.batch, actual.view);
    expect_same_bytes(download(memory), after, "cache");
    expect_same_bytes(download(actual.view), download(expected.view), "result");
    expect_same_bytes(download(one.v), download(two.v), "values");
    const std::int64_t width = shape.num_heads * shape.head_dim;
    expect_poison_around(actual.whole, lead, width, "store_and_attend: result");
    expect_poison_around(one.rows.whole, lead, width + 2 * shape.num_kv_heads * shape.head_dim,
                         "store_and_attend: rows");
  }
};

TEST_F(CudaStoreAndAttend, BitsAreThoseOfTwoOps) {
  for (const CacheKind& kind : kKinds)
    for (const HeadShape& s : kShapes)
      for (const std::vector<std::int64_t>& lens :
           {std::vector<std::int64_t>{1}, {2}, {16}, {17}, {64, 65}, {129, 1, 63, 128}, {1000}, {640, 33}}) {
        const bool is_long = lens[0] > 500, in_detail = s.num_heads == 16 || s.num_heads == 10;
        if (is_long && !in_detail) continue;
        make_cache(kind.dtype, s, rng() % 2 == 0 ? 64 : 128, is_long ? 20 : 8, kind.quant_bits);
        if (!kind.has_centers) cache.key_centers = nullptr;
        window = rng() % 3 == 0 ? 1 + static_cast<std::int64_t>(rng() % 150) : 0;
        SCOPED_TRACE(fmt::format("{} sequences, the first of {}, {}", lens.size(), lens[0], cache_name()));
        expect_same_as_two_ops(lens, rng() % 2 == 0 ? 1 : 8, kFloatTypes[rng() % 3]);
        ASSERT_FALSE(HasFailure());
      }
}

TEST_F(CudaStoreAndAttend, ManySequencesAndManySplits) {
  for (const CacheKind& kind : kKinds) {
    make_cache(kind.dtype, {8, 2, 128}, 64, 600, kind.quant_bits);
    std::vector<std::int64_t> lens;
    for (int i = 0; i < 70; i++) lens.push_back(1 + static_cast<std::int64_t>(rng() % 500));
    SCOPED_TRACE(cache_name());
    expect_same_as_two_ops(lens, 8, DType::bf16);
    make_cache(kind.dtype, {2, 1, 64}, 64, 200, kind.quant_bits);
    expect_same_as_two_ops({12345}, 8, DType::bf16);
    ASSERT_FALSE(HasFailure());
  }
}

// Graphs of different steps and calls without one share a stream's tickets. In a graph the rows are written
// by the kernel ahead, which has not ended when this one starts.
TEST_F(CudaStoreAndAttend, GraphsGiveTheBitsOfCalls) {
  struct Graph {
    Decode decode;
    Projected rows;
    Slice result;
    Tensor source, expected;
    cudaGraphExec_t executable = nullptr;
  };
  make_cache(DType::bf16, {16, 8, 128}, 64, 400, 4);
  std::vector<Graph> graphs(3);
  const std::vector<std::int64_t> lens[] = {{1000}, {70, 900}, {5, 400, 2000}};
  for (std::size_t i = 0; i < graphs.size(); i++) {
    Graph& graph = graphs[i];
    graph.decode = make_decode(lens[i], 8, 3);
    graph.source = upload(graph.decode.host);
    graph.rows = projected(graph.decode.host, 8);
    graph.result = result_of(graph.decode, DType::f32, 8);
    Indices* const indices[] = {&graph.decode.batch.query_starts, &graph.decode.batch.context_lens,
                                &graph.decode.batch.block_tables};
    lmdeploy::ops::upload(ctx, indices);  // below all scratch of the graphs
  }
  for (Graph& graph : graphs) {
    const auto put = [&] {
      cast(ctx, graph.source, graph.rows.rows.view);
      store_and_attend(ctx, rows_of(graph.rows, graph.decode), cache, graph.decode.batch, graph.result.view);
    };
    put();
    graph.expected = download(graph.result.view);
    cudaGraph_t captured = nullptr;
    CUDA_CHECK(cudaStreamBeginCapture(stream_handle(), cudaStreamCaptureModeThreadLocal));
    for (int again = 0; again < 4; again++) put();
    CUDA_CHECK(cudaStreamEndCapture(stream_handle(), &captured));
    CUDA_CHECK(cudaGraphInstantiate(&graph.executable, captured, 0));
    CUDA_CHECK(cudaGraphDestroy(captured));
  }
  for (int round = 0; round < 20; round++)
    for (Graph& graph : graphs) {
      const View rows = graph.rows.rows.whole;
      CUDA_CHECK(cudaMemsetAsync(rows.data, 0xff, static_cast<std::size_t>(rows.bytes()), stream_handle()));
      CUDA_CHECK(cudaGraphLaunch(graph.executable, stream_handle()));
      expect_same_bytes(download(graph.result.view), graph.expected, fmt::format("round {}", round));
      ASSERT_FALSE(HasFailure());
    }
  for (Graph& graph : graphs) CUDA_CHECK(cudaGraphExecDestroy(graph.executable));
}

// What counts when a captured step runs is what the device holds; 0 tokens fill up the batch.
TEST_F(CudaStoreAndAttend, TheDevicesNumbersCount) {
  for (const CacheKind& kind : kKinds) {
    make_cache(kind.dtype, {8, 2, 128}, 64, 60, kind.quant_bits);
    const Decode longest = make_decode({1000, 1000}, 8);
    Decode now = make_decode({300}, 8);
    const Tensor before = download(memory);
    const Projected alone = projected(now.host, 8);
    const Slice expected = result_of(now, DType::f32, 8);
    store_and_attend(ctx, rows_of(alone, now), cache, now.batch, expected.view);
    const Tensor after = download(memory);

    write_memory(before);
    const Projected rows = projected(longest.host, 8);
    cuda::copy_to_device(rows.q.data, now.host.view().data, static_cast<std::size_t>(now.host.view().bytes()),
                         ctx.stream);
    cuda::copy_to_device(longest.angles.view.data, download(now.angles.view).view().data,
                         static_cast<std::size_t>(shape.head_dim) * sizeof(float), ctx.stream);
    now.lens.push_back(0);
    now.starts.push_back(2);
    now.tables.resize(longest.tables.size() / 2, -1);
    now.tables.resize(longest.tables.size(), -1);
    std::vector<Tensor> copies;
    AttentionBatch batch = longest.batch;
    const auto replace = [&](Indices& indices, const std::vector<std::int32_t>& device) {
      copies.push_back(upload(View(const_cast<std::int32_t*>(device.data()), DType::i32,
                                   {static_cast<std::int64_t>(device.size())})));
      indices.device = copies.back().view().as<std::int32_t>();
    };
    replace(batch.query_starts, now.starts);
    replace(batch.context_lens, now.lens);
    replace(batch.block_tables, now.tables);
    const Slice actual = result_of(longest, DType::f32, 8);
    store_and_attend(ctx, rows_of(rows, longest), cache, batch, actual.view);
    expect_same_bytes(download(memory), after, "cache");
    const Tensor y = download(actual.view);
    const std::int64_t width = y.view().dim(1);
    expect_close(y.view().rows(0, 1), matrix(download(expected.view)), attention_tolerance(), cache_name());
    for (std::int64_t i = width; i < 2 * width; i++) ASSERT_EQ(get(y, i), 0) << cache_name();
    ASSERT_FALSE(HasFailure());
  }
}

TEST_F(CudaStoreAndAttend, StaleBlocksDoNotLeak) {
  for (const CacheKind& kind : kKinds) {
    make_cache(kind.dtype, {4, 2, 64}, 64, 4, kind.quant_bits);
    for (const std::int64_t len : {1, 7, 64, 65}) {
      free_blocks = {2, 0, 3, 1};
      const Decode d = make_decode({len}, 8);
      const Projected rows = projected(d.host, 8);
      const Slice y = result_of(d, DType::f32, 8);
      store_and_attend(ctx, rows_of(rows, d), cache, d.batch, y.view);
      const Tensor result = download(y.view);
      for (std::int64_t i = 0; i < result.shape().num_elements(); i++)
        ASSERT_TRUE(std::isfinite(get(result, i))) << cache_name() << ", " << len << " tokens";
    }
  }
}

}  // namespace
}  // namespace lmdeploy::ops
