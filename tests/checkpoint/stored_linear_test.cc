#include "checkpoint/stored_linear.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "checkpoint/foreign_bytes.h"
#include "checkpoint/writer.h"
#include "quant/owned_rows.h"

namespace lmdeploy {
namespace {

using ::testing::AllOf;
using testing::error_of;
using ::testing::HasSubstr;
using testing::OwnedRows;
using testing::TempFolder;
using testing::zeroed;

constexpr std::int64_t kN = 16, kK = 24, kGroup = 8, kNumGroups = kK / kGroup;
using Tensors = std::map<std::string, Tensor>;

// What a folder holds of one layer "l".
Tensors awq_tensors() {
  Tensors tensors;
  tensors["l.qweight"] = zeroed(DType::i32, {kK, kN / 8});
  tensors["l.scales"] = zeroed(DType::f16, {kNumGroups, kN});
  tensors["l.qzeros"] = zeroed(DType::i32, {kNumGroups, kN / 8});
  return tensors;
}
Tensors gptq_tensors() {
  Tensors tensors;
  tensors["l.qweight"] = zeroed(DType::i32, {kK / 8, kN});
  tensors["l.scales"] = zeroed(DType::f16, {kNumGroups, kN});
  tensors["l.qzeros"] = zeroed(DType::i32, {kNumGroups, kN / 8});
  tensors["l.g_idx"] = zeroed(DType::i32, {kK});
  for (std::int32_t i = 0; i < kK; i++) tensors["l.g_idx"].view().as<std::int32_t>()[i] = i / kGroup;
  return tensors;
}
Tensors packed_tensors() {
  Tensors tensors;
  tensors["l.weight_packed"] = zeroed(DType::i32, {kN, kK / 8});
  tensors["l.weight_scale"] = zeroed(DType::bf16, {kN, kNumGroups});
  tensors["l.weight_zero_point"] = zeroed(DType::i32, {kN / 8, kNumGroups});
  tensors["l.weight_shape"] = zeroed(DType::i32, {2});
  return tensors;
}
Tensors byte_tensors() {
  Tensors tensors;
  tensors["l.weight"] = zeroed(DType::i8, {kN, kK});
  tensors["l.weight_scale"] = zeroed(DType::f32, {kN, 1});
  return tensors;
}

Tensors float_tensors() {
  Tensors tensors;
  tensors["l.weight"] = zeroed(DType::f8_e4m3, {kN, kK});
  tensors["l.weight_scale"] = zeroed(DType::bf16, {kN, 1});
  return tensors;
}
// Blocks of 12 x 16: what is left at both edges is smaller.
Tensors block_tensors() {
  Tensors tensors;
  tensors["l.weight"] = zeroed(DType::f8_e4m3, {kN, kK});
  tensors["l.weight_scale_inv"] = zeroed(DType::f32, {2, 2});
  return tensors;
}

const QuantizationConfig kAwq{WeightFormat::awq, 4, kGroup, false, false};
const QuantizationConfig kGptq{WeightFormat::gptq, 4, kGroup, false, false};
const QuantizationConfig kPacked{WeightFormat::pack_quantized, 4, kGroup, false, false};
const QuantizationConfig kBytes{WeightFormat::int_quantized, 8, -1, true, true};
const QuantizationConfig kFloats{WeightFormat::float_quantized, 8, -1, true};
const QuantizationConfig kBlocks{WeightFormat::fp8, 8, 16, true, false, 12};

// A folder with these tensors, read.
class Folder {
 public:
  explicit Folder(const Tensors& tensors) {
    std::vector<TensorSpec> specs;
    for (const auto& [name, tensor] : tensors) specs.push_back({name, tensor.dtype(), tensor.shape()});
    CheckpointWriter writer(folder_.path(), specs);
    for (const auto& [name, tensor] : tensors) writer.write(name, tensor.view());
    writer.finish();
    checkpoint_.emplace(folder_.path());
  }
  std::optional<StoredLinear> find(const QuantizationConfig& config, std::int64_t n = kN,
                                   std::int64_t k = kK) const {
    return find_stored_linear(*checkpoint_, config, "l", n, k);
  }

 private:
  TempFolder folder_;
  std::optional<Checkpoint> checkpoint_;
};

std::string problem_of(const Tensors& tensors, const QuantizationConfig& config) {
  const Folder folder(tensors);
  return error_of([&] { folder.find(config); });
}

TEST(StoredLinear, FindsEveryFormat) {
  const auto names = [](const Tensors& tensors, const QuantizationConfig& config) {
    const Folder folder(tensors);
    return folder.find(config)->tensor_names.size();
  };
  EXPECT_EQ(names(awq_tensors(), kAwq), 3U);
  EXPECT_EQ(names(gptq_tensors(), kGptq), 4U);
  EXPECT_EQ(names(packed_tensors(), kPacked), 4U);
  EXPECT_EQ(names(byte_tensors(), kBytes), 2U);
  EXPECT_EQ(names(float_tensors(), kFloats), 2U);
  EXPECT_EQ(names(block_tensors(), kBlocks), 2U);
}

TEST(StoredLinear, FloatsAreNotOne) {
  Tensors tensors;
  tensors["l.weight"] = zeroed(DType::bf16, {kN, kK});
  const Folder folder(tensors);
  for (const QuantizationConfig& config : {kAwq, kGptq, kPacked, kBytes, kFloats, kBlocks})
    EXPECT_FALSE(folder.find(config));
}

TEST(StoredLinear, UnpacksRowsWithTheInputsOfAGroupTogether) {
  Tensors tensors = gptq_tensors();
  const OwnedRows rows = OwnedRows::random({kN, kK, kGroup}, 1);
  const GptqTensors layout{4, GptqZeros::minus_one, tensors["l.qweight"], tensors["l.scales"],
                           tensors["l.qzeros"]};
  pack_gptq(rows.view(), 0, layout);
  for (std::int32_t i = 0; i < kK; i++) tensors["l.g_idx"].view().as<std::int32_t>()[i] = i % 3;
  const Folder folder(tensors);
  const auto layer = folder.find(kGptq);
  const OwnedRows back({kN, kK, kGroup});
  layer->unpack(0, back.rows(0, 8));
  layer->unpack(8, back.rows(8, 8));
  for (std::int64_t n = 0; n < kN; n++)
    for (std::int64_t j = 0; j < kK; j++)
      EXPECT_EQ(back.view().q.row<std::uint8_t>(n)[j], rows.view().q.row<std::uint8_t>(n)[j % 8 * 3 + j / 8]);
}

TEST(StoredLinear, SymmetricZerosShowHowTheyAreStored) {
  QuantizationConfig config = kGptq;
  config.symmetric = true;
  const auto zero_of = [&](std::uint32_t word) {
    Tensors tensors = gptq_tensors();
    std::fill_n(tensors["l.qzeros"].view().as<std::int32_t>(), kNumGroups * kN / 8,
                static_cast<std::int32_t>(word));
    const Folder folder(tensors);
    const OwnedRows back({kN, kK, kGroup});
    folder.find(config)->unpack(0, back.view());
    return int{back.view().zeros.as<std::uint8_t>()[0]};
  };
  EXPECT_EQ(zero_of(0x77777777), 8);
  EXPECT_EQ(zero_of(0x88888888), 8);
  EXPECT_THAT(problem_of(gptq_tensors(), config), HasSubstr("zeros other than 8, though sym is true"));
}

// For the tensor or for each output, whatever config.json says of it; in whatever spelling.
TEST(StoredLinear, ScalesOfFloatsLieAsTheyDo) {
  const auto scale_of = [](const Shape& shape, const char* name, std::int64_t output) {
    Tensors tensors = float_tensors();
    tensors.erase("l.weight_scale");
    Tensor& scale = tensors[name] = zeroed(DType::f32, shape);
    for (std::int64_t i = 0; i < shape.num_elements(); i++)
      scale.view().as<float>()[i] = static_cast<float>(i + 1);
    const Folder folder(tensors);
    const OwnedRows back({kN, kK, kK, 8});
    folder.find(kFloats)->unpack(0, back.view());
    return *back.view().scales.row<float>(output);
  };
  for (const Shape& shape : {Shape{}, Shape{1}, Shape{1, 1}})
    EXPECT_EQ(scale_of(shape, "l.weight_scale", 9), 1) << shape.to_string();
  for (const Shape& shape : {Shape{kN}, Shape{kN, 1}})
    EXPECT_EQ(scale_of(shape, "l.weight_scale_inv", 9), 10) << shape.to_string();
}

TEST(StoredLinear, BlocksAreCutToGroupsThatDivideTheInputs) {
  Tensors tensors = block_tensors();
  for (std::int64_t i = 0; i < 4; i++)
    tensors["l.weight_scale_inv"].view().as<float>()[i] = static_cast<float>(i + 1);
  const Folder folder(tensors);
  const auto layer = folder.find(kBlocks);
  EXPECT_EQ(layer->format, (QuantFormat{8, 8, DType::f32, WeightCode::e4m3}));
  const OwnedRows back({kN, kK, 8, 8});
  layer->unpack(0, back.view());
  const float* first = back.view().scales.row<float>(11);
  const float* second = back.view().scales.row<float>(12);
  EXPECT_EQ(std::vector<float>(first, first + 3), (std::vector<float>{1, 1, 2}));
  EXPECT_EQ(std::vector<float>(second, second + 3), (std::vector<float>{3, 3, 4}));
}

TEST(StoredLinear, ScalesOfActivationsBelongToTheLayer) {
  Tensors tensors = float_tensors();
  tensors["l.input_scale"] = zeroed(DType::f32, {1});
  EXPECT_EQ(Folder(tensors).find(kFloats)->tensor_names.size(), 3U);
}

TEST(StoredLinear, FloatsMustBeNumbers) {
  Tensors tensors = float_tensors();
  tensors["l.weight"].view().row<f8_e4m3_t>(9)[7].bits = 0xff;
  const Folder folder(tensors);
  const auto layer = folder.find(kFloats);
  const OwnedRows rows({kN, kK, kK, 8});
  EXPECT_EQ(error_of([&] { layer->unpack(0, rows.rows(0, 8)); }), "");
  EXPECT_THAT(error_of([&] { layer->unpack(8, rows.rows(8, 8)); }),
              AllOf(HasSubstr("l: the weight of output 9, input 7"), HasSubstr("quantise the model again")));
}

TEST(StoredLinear, EveryMissingTensorIsNamed) {
  for (const auto& [make, config] : {std::pair{&awq_tensors, kAwq},
                                     {&gptq_tensors, kGptq},
                                     {&packed_tensors, kPacked},
                                     {&float_tensors, kFloats},
                                     {&block_tensors, kBlocks}})
    for (const auto& [name, tensor] : make()) {
      if (name == "l.g_idx" || name == "l.weight_shape") continue;  // may be missing
      Tensors tensors = make();
      tensors.erase(name);
      EXPECT_THAT(problem_of(tensors, config),
                  AllOf(HasSubstr(name.substr(2)), HasSubstr(config.to_string())));
    }
}

TEST(StoredLinear, ZeroPointsMayBeMissingWhereThereAreNone) {
  QuantizationConfig config = kAwq;
  config.symmetric = true;
  Tensors tensors = awq_tensors();
  tensors.erase("l.qzeros");
  EXPECT_EQ(problem_of(tensors, config), "");
}

TEST(StoredLinear, EveryMisshapenTensorIsNamed) {
  for (const auto& [make, config] : {std::pair{&awq_tensors, kAwq},
                                     {&gptq_tensors, kGptq},
                                     {&packed_tensors, kPacked},
                                     {&float_tensors, kFloats},
                                     {&block_tensors, kBlocks}})
    for (const auto& [name, tensor] : make()) {
      if (name == "l.weight_shape") continue;  // says what config.json says
      const Shape wrong{tensor.shape()[0] + 1, 2};
      Tensors tensors = make();
      tensors[name] = zeroed(tensor.dtype(), wrong);
      EXPECT_THAT(problem_of(tensors, config),
                  AllOf(HasSubstr(name.substr(2)), HasSubstr(wrong.to_string())));
      tensors[name] = zeroed(DType::u8, tensor.shape());
      EXPECT_THAT(problem_of(tensors, config), AllOf(HasSubstr(name.substr(2)), HasSubstr("uint8")));
    }
}

TEST(StoredLinear, WhatDoesNotDivideIsRefused) {
  QuantizationConfig config = kAwq;
  config.group_size = 7;
  EXPECT_THAT(problem_of(awq_tensors(), config), HasSubstr("24 inputs, which groups of 7 do not divide"));
  const Folder folder(gptq_tensors());
  EXPECT_THAT(error_of([&] { folder.find(kGptq, 12); }), HasSubstr("12 outputs, not a multiple of 8"));
}

TEST(StoredLinear, GroupsOfAnyKindAreChecked) {
  for (const std::int32_t group : {-1, 3, 1 << 30, std::numeric_limits<std::int32_t>::min()}) {
    Tensors tensors = gptq_tensors();
    tensors["l.g_idx"].view().as<std::int32_t>()[5] = group;
    EXPECT_THAT(problem_of(tensors, kGptq), HasSubstr("g_idx"));
  }
}

TEST(StoredLinear, ScalesMustBeFinite) {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    Tensors tensors = byte_tensors();
    tensors["l.weight_scale"].view().as<float>()[9] = bad;
    const Folder folder(tensors);
    const auto layer = folder.find(kBytes);
    const OwnedRows rows({kN, kK, kK, 8});
    EXPECT_EQ(error_of([&] { layer->unpack(0, rows.rows(0, 8)); }), "");
    EXPECT_THAT(error_of([&] { layer->unpack(8, rows.rows(8, 8)); }),
                AllOf(HasSubstr("l: the scale of output 9, group 0"), HasSubstr("quantise the model again")));
  }
}

}  // namespace
}  // namespace lmdeploy
