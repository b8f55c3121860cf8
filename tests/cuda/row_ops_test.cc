#include <cmath>
#include <limits>

#include "cuda/cuda_fixture.h"

namespace lmdeploy::ops {
namespace {

// Around the edges of what a thread (4 elements), a warp and a block take of a row.
constexpr std::int64_t kSizes[] = {1,   2,   4,   7,   31,   64,   127,  128, 129,
                                   252, 256, 260, 576, 1023, 1024, 1028, 1031};

class CudaRowOpsTest : public CudaOpsTest {
 protected:
  Tensor vector(std::int64_t n) {  // [n] f32 on the card; its numbers in `values`
    const Tensor host = random(DType::f32, 1, n);
    values = matrix(host).values;
    return upload(View(host.view().data, DType::f32, {n}));
  }
  std::vector<double> values;
};

TEST_F(CudaRowOpsTest, Embed) {
  for (const DType dtype : kFloatTypes)
    for (const std::int64_t k : kSizes)
      for (const std::int64_t lead : {1, 8}) {
        const Tensor host = random(dtype, 70, k);
        const std::vector<std::int32_t> ids = {69, 0, 3, 3, 64, 63};
        const ref::Matrix expected = ref::embed(ids, matrix(host));
        const Slice table = slice_of(host, lead), y = slice(DType::f32, 6, k, lead);
        embed(ctx, ids, table.view, y.view);
        expect_result(y, expected, 0, fmt::format("embed {} {}", dtype_name(dtype), k));
        PackedMatrix packed = make_packed_matrix(ctx, {.dtype = dtype}, 70, k);
        pack_rows(ctx, host, packed, 0);
        const Slice z = slice(DType::f32, 6, k, lead);
        embed(ctx, ids, packed, z.view);
        expect_result(z, expected, 0, fmt::format("embed from a packed {} {}", dtype_name(dtype), k));
      }
}

TEST_F(CudaRowOpsTest, EmbedOfQuantizedRowsEqualsTheCpu) {
  ThreadPool pool(2);
  Workspace host_workspace(host_allocator());
  Ctx cpu;
  cpu.pool = &pool;
  cpu.allocator = &host_allocator();
  cpu.workspace = &host_workspace;
  constexpr std::int64_t kRows = 70, kColumns = 256;
  for (const int bits : {4, 8}) {
    const MatrixFormat format{.dtype = DType::bf16, .quant = QuantFormat{.bits = bits, .group_size = 128}};
    const Tensor source = random(DType::f32, kRows, kColumns), expected = zeros(DType::f32, 6, kColumns);
    const std::vector<std::int32_t> ids = {69, 0, 3, 3, 64, 63};
    PackedMatrix on_cpu = make_packed_matrix(cpu, format, kRows, kColumns),
                 on_card = make_packed_matrix(ctx, format, kRows, kColumns);
    quantize_rows(cpu, source, on_cpu, 0);
    quantize_rows(ctx, source, on_card, 0);
    embed(cpu, ids, on_cpu, expected);
    const Slice y = slice(DType::f32, 6, kColumns, 8);
    embed(ctx, ids, on_card, y.view);
    expect_result(y, matrix(expected), 1e-6, fmt::format("embed of {} bits", bits));
  }
}

TEST_F(CudaRowOpsTest, UploadedIndicesAreUsed) {
  const Tensor host = random(DType::f32, 40, 36), table = upload(host);
  const std::vector<std::int32_t> first = random_ids(17, 40), second = random_ids(5, 40), none;
  Indices a(first), b(second), c(none);
  Indices* const all[] = {&a, &c, &b};
  const Workspace::Scope scope(*ctx.workspace);
  ops::upload(ctx, all);
  ASSERT_NE(a.device, nullptr);
  for (const Indices* ids : {&a, &b}) {
    const Tensor y = poisoned(DType::f32, {static_cast<std::int64_t>(ids->size()), 36});
    embed(ctx, *ids, table, y);
    expect_close(download(y), ref::embed({ids->host.begin(), ids->host.end()}, matrix(host)), 0, "embed");
  }
}

TEST_F(CudaRowOpsTest, RmsNorm) {
  std::vector<std::int64_t> sizes(std::begin(kSizes), std::end(kSizes));
  for (const std::int64_t d : {4096, 5120, 8192, 8196, 16384, 16388, 20000}) sizes.push_back(d);
  for (const DType dtype : kFloatTypes)
    for (const std::int64_t d : sizes)
      for (const std::int64_t m : {1, 3, 19})
        for (const std::int64_t lead : {1, 8}) {
          const Tensor host = random(DType::f32, m, d, 3), weight = vector(d);
          const Slice x = slice_of(host, lead), y = slice(dtype, m, d, lead);
          rms_norm(ctx, x.view, weight, 1e-5F, y.view);
          expect_result(y, ref::rms_norm(matrix(host), values, 1e-5),
                        Tolerance::kernel() + Tolerance::result(dtype),
                        fmt::format("rms_norm {} x {}", m, d));
        }
}

TEST_F(CudaRowOpsTest, RmsNormOfARowDependsOnNothingElse) {
  for (const std::int64_t d : {60, 576, 4096, 20000}) {
    const Tensor host = random(DType::f32, 9, d), weight = vector(d);
    const Tensor together = poisoned(DType::f32, {9, d});
    rms_norm(ctx, upload(host), weight, 1e-5F, together);
    const Slice misaligned = slice_of(host.view().rows(4, 1), 1), alone = slice(DType::f32, 1, d, 1);
    rms_norm(ctx, misaligned.view, weight, 1e-5F, alone.view);
    const Tensor a = download(together.view().rows(4, 1)), b = download(alone.view);
    EXPECT_EQ(std::memcmp(a.view().data, b.view().data, static_cast<std::size_t>(a.view().bytes())), 0) << d;
  }
}

TEST_F(CudaRowOpsTest, RmsNormPerHeadInPlace) {
  for (const std::int64_t d : {6, 64, 128, 256, 260}) {
    const Tensor host = random(DType::f32, 5, 6 * d), weight = vector(d), x = upload(host);
    const View heads(x.view().data, DType::f32, {5, 4, d}, 6 * d);  // 4 of 6 heads
    const View host_heads(host.view().data, DType::f32, {5, 4, d}, 6 * d);
    rms_norm(ctx, heads, weight, 1e-6F, heads);
    expect_close(download(heads), ref::rms_norm(matrix(host_heads), values, 1e-6), Tolerance::kernel(),
                 "per head");
    expect_close(download(x.view().columns(4 * d, 2 * d)), matrix(host.view().columns(4 * d, 2 * d)), 0,
                 "beyond");
  }
}

TEST_F(CudaRowOpsTest, SiluMul) {
  for (const DType dtype : kFloatTypes)
    for (const std::int64_t k : kSizes)
      for (const std::int64_t m : {1, 37})
        for (const std::int64_t lead : {1, 8}) {
          const Tensor host = random(DType::f32, m, 2 * k, 8);
          const Slice x = slice_of(host, lead), y = slice(dtype, m, k, lead);
          silu_mul(ctx, x.view, y.view);
          expect_result(y, ref::silu_mul(matrix(host)), Tolerance::kernel() + Tolerance::result(dtype),
                        fmt::format("silu_mul {} x {}", m, k));
        }
}

TEST_F(CudaRowOpsTest, SiluMulAtTheEnds) {
  const Tensor host = zeros(DType::f32, 1, 8), y = poisoned(DType::f32, {1, 4});
  const float gates[] = {-200, 200, -88.5F, std::numeric_limits<float>::quiet_NaN()};
  for (int i = 0; i < 4; i++) {
    set(host, i, gates[i]);
    set(host, 4 + i, 1);
  }
  silu_mul(ctx, upload(host), y);
  const Tensor result = download(y);
  EXPECT_EQ(get(result, 0), 0);
  EXPECT_EQ(get(result, 1), 200);
  EXPECT_NEAR(get(result, 2), 0, 1e-30);
  EXPECT_TRUE(std::isnan(get(result, 3)));
}

TEST_F(CudaRowOpsTest, GatherColumns) {
  for (const DType dtype : kFloatTypes)
    for (const std::int64_t k : kSizes)
      for (const std::int64_t m : {1, 70}) {
        const Tensor host = random(dtype, m, k);
        const std::vector<std::int32_t> order = random_ids(2 * k, k);
        Tensor order_host(host_allocator(), DType::i32, {2 * k});
        std::copy(order.begin(), order.end(), order_host.view().as<std::int32_t>());
        ref::Matrix expected(m, 2 * k);
        const ref::Matrix all = matrix(host);
        for (std::int64_t r = 0; r < m; r++)
          for (std::int64_t j = 0; j < 2 * k; j++)
            expected.at(r, j) = all.at(r, order[static_cast<std::size_t>(j)]);
        const Slice x = slice_of(host, 1), y = slice(dtype, m, 2 * k, 3);
        gather_columns(ctx, x.view, upload(order_host), y.view);
        expect_result(y, expected, 0, "gather_columns");
      }
}

TEST_F(CudaRowOpsTest, CastEqualsScalarConversion) {
  const std::vector<float> specials = floats_of_all_kinds();
  for (const DType from : kFloatTypes)
    for (const DType to : kFloatTypes)
      for (const std::int64_t lead : {1, 8}) {
        const std::int64_t count = lead == 1 ? 4093 : 4096;  // not a whole number of vectors, and one
        const Tensor host = zeros(from, 1, count), expected = zeros(to, 1, count);
        for (std::int64_t i = 0; i < count; i++) {
          set(host, i, specials[static_cast<std::size_t>(i)]);
          set(expected, i, get(host, i));
        }
        const Slice x = slice_of(host, lead), y = slice(to, 1, count, lead);
        cast(ctx, x.view, y.view);
        const Tensor actual = download(y.view);
        ASSERT_EQ(std::memcmp(actual.view().data, expected.view().data,
                              static_cast<std::size_t>(expected.view().bytes())),
                  0)
            << dtype_name(from) << " to " << dtype_name(to);
        expect_poison_around(y.whole, lead, count, "cast");
      }
}

TEST_F(CudaRowOpsTest, CastKeepsNan) {
  for (const DType from : kFloatTypes)
    for (const DType to : kFloatTypes) {
      const Tensor x = poisoned(from, {2, 19}), host = zeros(to, 2, 19), y = upload(host);
      cast(ctx, x, y);
      const Tensor result = download(y);
      for (std::int64_t i = 0; i < 2 * 19; i++) EXPECT_TRUE(std::isnan(get(result, i)));
    }
}

TEST_F(CudaRowOpsTest, NoRows) {
  const Tensor x = poisoned(DType::f32, {1, 8}), weight = vector(8);
  const View none = x.view().rows(0, 0);
  rms_norm(ctx, none, weight, 1e-5F, none);
  cast(ctx, none, none);
  embed(ctx, Indices(), x, none);
  rope_table(ctx, Indices(), std::vector<float>(4, 1.0F), 1, none);
  stream->wait();
}

}  // namespace
}  // namespace lmdeploy::ops
