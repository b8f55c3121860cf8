#include <limits>

#include "ops/quantized_fixture.h"

namespace lmdeploy::ops {
namespace {

class QuantizedMatrixTest : public QuantizedTest {
 protected:
  Tensor read_back(const PackedMatrix& packed) {
    Tensor back = zeros(DType::f32, packed.n, packed.k);
    std::vector<std::int32_t> ids;
    for (std::int32_t i = 0; i < packed.n; i++) ids.push_back(i);
    embed(ctx, ids, packed, back);
    return back;
  }
};

// Reading rows back through embed gives what was packed, in any pieces.
TEST_P(QuantizedMatrixTest, KeepsEveryElement) {
  for (const Numbers numbers : kNumbers)
    for (const DType scales : kFloatTypes)
      for (const std::int64_t group_size : {1, 7, 32, 128, 1030})
        for (const std::int64_t n : {1, 64, 130}) {
          const QuantFormat format = numbers.format(group_size, scales);
          const Weights w = random_weights(format, n, group_size * 2);
          PackedMatrix packed = make_packed_matrix(ctx, {DType::bf16, format}, n, group_size * 2);
          const std::int64_t cut = n / 3;
          pack_quantized_rows(ctx, w.rows(cut, n - cut), packed, cut);
          pack_quantized_rows(ctx, w.rows(0, cut), packed, 0);
          expect_close(read_back(packed), w.values(), 1e-7,
                       fmt::format("{} bits ({}), groups of {}, {} rows", numbers.bits,
                                   static_cast<int>(numbers.code), group_size, n));
        }
}

TEST_P(QuantizedMatrixTest, BytesAreWhatIsAllocated) {
  for (const Numbers numbers : kNumbers)
    for (const std::int64_t n : {1, 100, 5000}) {
      const MatrixFormat format{DType::bf16, numbers.format(128, DType::f16)};
      const std::int64_t zero_bytes = numbers.code == WeightCode::integer ? 1 : 0;
      const PackedMatrix packed = make_packed_matrix(ctx, format, n, 512);
      EXPECT_EQ(packed.data.view().bytes(), packed_matrix_bytes(Device::cpu, format, n, 512));
      EXPECT_EQ(packed.bytes(), (n + 63) / 64 * 64 * 512 / 128 * (128 * numbers.bits / 8 + 2 + zero_bytes));
    }
}

// The nearest of a group's values: nothing is farther from its float than half a step of the grid.
TEST_P(QuantizedMatrixTest, QuantizeRowsRoundsToTheNearest) {
  for (const DType from : kFloatTypes)
    for (const std::int32_t bits : {4, 8})
      for (const std::int64_t n : {1, 67, 600}) {
        const std::int64_t group_size = 32, k = 96;
        const Tensor source = random(from, n, k + 1, 0.02);
        const View rows = source.view().columns(1, k);
        PackedMatrix packed =
            make_packed_matrix(ctx, {DType::bf16, QuantFormat{bits, group_size, DType::f16}}, n, k);
        quantize_rows(ctx, rows, packed, 0);
        const Tensor back = read_back(packed);
        for (std::int64_t r = 0; r < n; r++)
          for (std::int64_t c = 0; c < k; c++) {
            float low = 0, high = 0;
            for (std::int64_t i = c / group_size * group_size; i < (c / group_size + 1) * group_size; i++) {
              low = std::min(low, get(rows, r * rows.row_stride + i));
              high = std::max(high, get(rows, r * rows.row_stride + i));
            }
            // Half a step; at the ends of the range also what rounding the scale and the zero takes away.
            const float value = get(rows, r * rows.row_stride + c), step = (high - low) / ((1 << bits) - 1);
            const float tolerance = value > low + step && value < high - step ? 0.505F : 1.2F;
            ASSERT_NEAR(get(back, r * k + c), value, tolerance * step)
                << dtype_name(from) << ", " << bits << " bits [" << r << ", " << c << "]";
          }
      }
}

TEST_P(QuantizedMatrixTest, QuantizeRowsKeepsZerosAndWhatIsNotANumber) {
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

// All of them, each in every place of a word: subnormal, negative, -0.
TEST_P(QuantizedMatrixTest, EveryFloatOfEightBitsMeetsEveryInput) {
  constexpr std::int64_t kN = 256, kK = 8;
  for (const DType dtype : kFloatTypes) {
    const MatrixFormat format{dtype, QuantFormat{8, kK, DType::f32, WeightCode::e4m3}};
    Weights w = random_weights(*format.quant, kN, kK);
    for (std::int64_t n = 0; n < kN; n++) {
      w.scales.view().as<float>()[n] = 1;
      std::memset(w.q.view().row<std::uint8_t>(n), n % 128 == 127 ? 0 : static_cast<int>(n), kK);
    }
    PackedMatrix packed = make_packed_matrix(ctx, format, kN, kK);
    pack_quantized_rows(ctx, {w.q, w.scales, {}}, packed, 0);
    const ref::Matrix values = w.values();
    for (const std::int64_t m : {1, 8, 16}) {  // the last unpacks into scratch
      const Tensor x = zeros(dtype, m, kK), y = zeros(DType::f32, m, kN);
      for (std::int64_t r = 0; r < m; r++) set(x, r * kK + r % kK, 1);
      linear(ctx, x, packed, y);
      for (std::int64_t r = 0; r < m; r++)
        for (std::int64_t n = 0; n < kN; n++)
          ASSERT_EQ(double{get(y, r * kN + n)}, values.at(n, r % kK)) << dtype_name(dtype) << ", code " << n;
    }
  }
}

TEST_P(QuantizedMatrixTest, WrongFormatsAndShapesAreRefused) {
  const auto make = [&](std::int32_t bits, std::int64_t group_size) {
    return make_packed_matrix(ctx, {DType::f32, QuantFormat{bits, group_size}}, 4, 64);
  };
  EXPECT_THROW(make(3, 32), CheckFailure);
  EXPECT_THROW(make(4, 48), CheckFailure);
  EXPECT_THROW(make(4, 0), CheckFailure);
  PackedMatrix packed = make(4, 32), floats = make_packed_matrix(ctx, {DType::f32}, 4, 64);
  const Weights w = random_weights({4, 32}, 3, 64);
  EXPECT_THROW(pack_quantized_rows(ctx, w.rows(), packed, 2), CheckFailure);
  EXPECT_THROW(pack_quantized_rows(ctx, w.rows(), floats, 0), CheckFailure);
  EXPECT_THROW(pack_rows(ctx, random(DType::f32, 3, 64), packed, 0), CheckFailure);
  EXPECT_THROW(quantize_rows(ctx, random(DType::f32, 3, 64), floats, 0), CheckFailure);
  const QuantFormat e4m3{8, 32, DType::f32, WeightCode::e4m3};
  PackedMatrix bytes = make_packed_matrix(ctx, {DType::f32, e4m3}, 4, 64);
  EXPECT_THROW(quantize_rows(ctx, random(DType::f32, 3, 64), bytes, 0), CheckFailure);
  EXPECT_THROW(make_packed_matrix(ctx, {DType::f32, e4m3, Activations::int8_per_group}, 4, 64), CheckFailure);
  EXPECT_THROW(make_packed_matrix(ctx, {DType::f32, QuantFormat{4, 32, DType::f32, WeightCode::e4m3}}, 4, 64),
               CheckFailure);
}

INSTANTIATE_FOR_ISAS(QuantizedMatrixTest);

}  // namespace
}  // namespace lmdeploy::ops
