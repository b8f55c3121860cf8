#include <cmath>

#include "cuda/cuda_fixture.h"

namespace lmdeploy::ops {
namespace {

class CudaRopeTest : public CudaOpsTest {};

TEST_F(CudaRopeTest, Rope) {
  for (const std::int64_t half : {1, 5, 8, 32, 48, 64, 128})
    for (const std::int64_t m : {1, 3, 70})
      for (const std::int64_t lead : {1, 8}) {
        constexpr std::int64_t kHeads = 3, kRows = 4;  // heads rotated, of those in a row
        const std::vector<std::int32_t> positions = random_ids(m, 2000);
        std::vector<float> inv_freq;
        for (std::int64_t j = 0; j < half; j++)
          inv_freq.push_back(std::pow(10000.0F, -static_cast<float>(j) / static_cast<float>(half)));
        const Tensor host = random(DType::f32, m, kRows * 2 * half);
        const View host_heads(host.view().data, DType::f32, {m, kHeads, 2 * half}, host.view().row_stride);
        const Slice x = slice_of(host, lead), table = slice(DType::f32, m, 2 * half, lead);
        const View heads(x.view.data, DType::f32, {m, kHeads, 2 * half}, x.view.row_stride);
        rope_table(ctx, positions, inv_freq, 1.5F, table.view);
        rope(ctx, heads, table.view);
        // The angle itself is a float: at position 2000 it is known to 6e-5.
        expect_close(
            download(heads),
            ref::rope(matrix(host_heads), kHeads, positions, {inv_freq.begin(), inv_freq.end()}, 1.5), 2e-4,
            fmt::format("rope {} x {}", m, half));
        expect_poison_around(table.whole, lead, 2 * half, "rope_table");
        expect_poison_around(x.whole, lead, kRows * 2 * half, "rope");
        const std::int64_t rotated = kHeads * 2 * half, rest = 2 * half;
        expect_close(download(x.view.columns(rotated, rest)), matrix(host.view().columns(rotated, rest)), 0,
                     "the head that was not given");
      }
}

TEST_F(CudaRopeTest, RopeTableIsExactAtAMillion) {
  for (const std::size_t half : {std::size_t{64}, std::size_t{513}}) {
    const std::vector<std::int32_t> positions = {0, 1, 4095, 32767, 131071, 999999, 1048575, 16777216};
    std::vector<float> inv_freq;
    for (std::size_t j = 0; j < half; j++)
      inv_freq.push_back(std::pow(1e6F, -static_cast<float>(j) / static_cast<float>(half)));
    ref::Matrix expected(8, static_cast<std::int64_t>(2 * half));
    for (std::size_t i = 0; i < positions.size(); i++)
      for (std::size_t j = 0; j < half; j++) {
        const float angle = static_cast<float>(positions[i]) * inv_freq[j];
        expected.at(static_cast<std::int64_t>(i), static_cast<std::int64_t>(j)) =
            std::cos(static_cast<double>(angle));
        expected.at(static_cast<std::int64_t>(i), static_cast<std::int64_t>(half + j)) =
            std::sin(static_cast<double>(angle));
      }
    const Tensor table = poisoned(DType::f32, {8, static_cast<std::int64_t>(2 * half)});
    rope_table(ctx, positions, inv_freq, 1, table);
    expect_close(download(table), expected, 1e-7, "rope_table");
  }
}

}  // namespace
}  // namespace lmdeploy::ops
