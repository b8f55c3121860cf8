#include <limits>
#include <numeric>
#include <vector>

#include "base/thread_pool.h"
#include "cuda/cuda_fixture.h"
#include "ops/quantized_tensors.h"

namespace lmdeploy::ops {
namespace {

class CudaPackedMatrixTest : public QuantizedTensors<CudaOpsTest> {
 protected:
  // All rows as floats, through embed.
  Tensor read_back(const PackedMatrix& packed) {
    std::vector<std::int32_t> ids(static_cast<std::size_t>(packed.n));
    std::iota(ids.begin(), ids.end(), 0);
    const Tensor back = poisoned(DType::f32, {packed.n, packed.k});
    embed(ctx, ids, packed, back);
    return download(back);
  }
  // What the CPU's kernels make of the same floats.
  Tensor quantized_on_host(const View& source, const MatrixFormat& format) {
    ThreadPool pool(2);
    Workspace host_workspace(host_allocator());
    Ctx host;
    host.pool = &pool;
    host.allocator = &host_allocator();
    host.workspace = &host_workspace;
    PackedMatrix packed = make_packed_matrix(host, format, source.dim(0), source.dim(1));
    quantize_rows(host, source, packed, 0);
    std::vector<std::int32_t> ids(static_cast<std::size_t>(packed.n));
    std::iota(ids.begin(), ids.end(), 0);
    Tensor back = zeros(DType::f32, packed.n, packed.k);
    embed(host, ids, packed, back);
    return back;
  }
};

// Reading rows back gives what was packed, from any type into any type and in any pieces.
TEST_F(CudaPackedMatrixTest, KeepsEveryFloat) {
  for (const DType from : kFloatTypes)
    for (const DType to : kFloatTypes)
      for (const auto& [n, k] :
           {std::pair<std::int64_t, std::int64_t>{1, 1}, {64, 64}, {130, 33}, {71, 1030}}) {
        const Tensor source = random(from, n, k + 1);
        const View rows = source.view().columns(1, k);
        PackedMatrix packed = make_packed_matrix(ctx, {to}, n, k);
        const std::int64_t cut = n / 3;
        pack_rows(ctx, rows.rows(cut, n - cut), packed, cut);
        pack_rows(ctx, rows.rows(0, cut), packed, 0);
        const Tensor back = read_back(packed), rounded = zeros(to, n, k);
        for (std::int64_t r = 0; r < n; r++)
          for (std::int64_t c = 0; c < k; c++) {
            set(rounded, r * k + c, get(rows, r * rows.row_stride + c));
            ASSERT_EQ(get(back, r * k + c), get(rounded, r * k + c))
                << dtype_name(from) << " to " << dtype_name(to) << " [" << r << ", " << c << "]";
          }
      }
}

TEST_F(CudaPackedMatrixTest, KeepsEveryInteger) {
  for (const DType dtype : kFloatTypes)
    for (const Numbers numbers : kNumbers)
      for (const DType scales : kFloatTypes)
        for (const std::int64_t group_size : {1, 7, 32, 128, 1030})
          for (const std::int64_t n : {1, 16, 130}) {
            const QuantFormat format = numbers.format(group_size, scales);
            const Weights w = random_weights(format, n, group_size * 3);
            PackedMatrix packed = make_packed_matrix(ctx, {dtype, format}, n, group_size * 3);
            const std::int64_t cut = n / 3, end = n * 2 / 3;
            pack_quantized_rows(ctx, w.rows(end, n - end), packed, end);
            pack_quantized_rows(ctx, w.rows(cut, end - cut), packed, cut);
            pack_quantized_rows(ctx, w.rows(0, cut), packed, 0);
            expect_close(read_back(packed), w.values(), 1e-7,
                         fmt::format("{}, {} bits ({}), groups of {}, {} rows", dtype_name(dtype),
                                     numbers.bits, static_cast<int>(numbers.code), group_size, n));
          }
}

TEST_F(CudaPackedMatrixTest, BytesAreWhatIsAllocated) {
  for (const Numbers numbers : kNumbers)
    for (const std::int64_t group_size : {32, 64, 128, 4096})
      for (const std::int64_t n : {4096, 92544}) {
        const MatrixFormat format{DType::bf16, numbers.format(group_size, DType::f16)};
        const std::int64_t k = 4096, bytes = packed_matrix_bytes(Device::cuda, format, n, k);
        const std::int64_t group_bytes = numbers.code == WeightCode::integer ? 3 : 2;
        EXPECT_EQ(bytes, n * (k * numbers.bits / 8 + k / group_size * group_bytes));
        if (n > 4096) continue;
        const PackedMatrix packed = make_packed_matrix(ctx, format, n, k);
        EXPECT_EQ(packed.bytes(), bytes);
        EXPECT_EQ(packed.data.view().bytes(), bytes);
      }
}

// The same numbers as on the CPU, to the last bit of a scale.
TEST_F(CudaPackedMatrixTest, QuantizeRowsRoundsAsTheCpuDoes) {
  for (const DType from : kFloatTypes)
    for (const std::int32_t bits : {4, 8})
      for (const DType scales : kFloatTypes)
        for (const auto& [n, group_size] :
             {std::pair<std::int64_t, std::int64_t>{1, 32}, {67, 100}, {600, 128}}) {
          const std::int64_t k = group_size * 3;
          const MatrixFormat format{DType::bf16, QuantFormat{bits, group_size, scales}};
          const Tensor source = random(from, n, k + 1, 0.02);
          const View rows = source.view().columns(1, k);
          PackedMatrix packed = make_packed_matrix(ctx, format, n, k);
          quantize_rows(ctx, rows, packed, 0);
          expect_close(
              read_back(packed), matrix(quantized_on_host(rows, format)), 1e-7,
              fmt::format("{}, {} bits, groups of {}, {} rows", dtype_name(from), bits, group_size, n));
        }
}

TEST_F(CudaPackedMatrixTest, QuantizeRowsKeepsZerosAndWhatIsNotANumber) {
  const Tensor source = zeros(DType::f32, 2, 64);
  set(source, 3, std::numeric_limits<float>::quiet_NaN());
  set(source, 64 + 5, -1.5F);
  PackedMatrix packed = make_packed_matrix(ctx, {DType::f32, QuantFormat{8, 32}}, 2, 64);
  quantize_rows(ctx, source, packed, 0);
  const Tensor back = read_back(packed);
  for (std::int64_t c = 0; c < 128; c++)
    if (c < 32)
      EXPECT_TRUE(std::isnan(get(back, c)));
    else
      EXPECT_FLOAT_EQ(get(back, c), c == 64 + 5 ? -1.5F : 0.0F);
}

}  // namespace
}  // namespace lmdeploy::ops
