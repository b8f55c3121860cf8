#include "checkpoint/quantization_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "checkpoint/foreign_bytes.h"
#include "checkpoint/hf_config.h"

namespace lmdeploy {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using testing::error_of;
using ::testing::HasSubstr;
using testing::TempFolder;

QuantizationConfig parse(const json& value) {
  return parse_quantization_config(value, "config.json: quantization_config");
}

const json kAwq{{"quant_method", "awq"}, {"version", "gemm"},  {"bits", 4},
                {"group_size", 128},     {"zero_point", true}, {"modules_to_not_convert", {"lm_head"}}};
const json kGptq{
    {"quant_method", "gptq"}, {"bits", 4}, {"group_size", 128}, {"desc_act", true}, {"sym", false}};
const json kInt4{{"quant_method", "compressed-tensors"},
                 {"format", "pack-quantized"},
                 {"ignore", {"lm_head"}},
                 {"quantization_status", "compressed"},
                 {"kv_cache_scheme", nullptr},
                 {"config_groups",
                  {{"group_0",
                    {{"targets", {"Linear"}},
                     {"input_activations", nullptr},
                     {"output_activations", nullptr},
                     {"weights",
                      {{"num_bits", 4},
                       {"type", "int"},
                       {"symmetric", false},
                       {"strategy", "group"},
                       {"group_size", 64},
                       {"dynamic", false},
                       {"actorder", "weight"}}}}}}}};
const json kW8A8{{"quant_method", "compressed-tensors"},
                 {"format", "int-quantized"},
                 {"config_groups",
                  {{"group_0",
                    {{"targets", {"Linear"}},
                     {"input_activations",
                      {{"num_bits", 8},
                       {"type", "int"},
                       {"symmetric", true},
                       {"strategy", "token"},
                       {"dynamic", true},
                       {"group_size", nullptr}}},
                     {"weights",
                      {{"num_bits", 8},
                       {"type", "int"},
                       {"symmetric", true},
                       {"strategy", "channel"},
                       {"dynamic", false}}}}}}}};

const json kFloats{
    {"quant_method", "compressed-tensors"},
    {"format", "float-quantized"},
    {"kv_cache_scheme", {{"num_bits", 8}, {"type", "float"}}},
    {"config_groups",
     {{"group_0",
       {{"targets", {"Linear"}},
        {"input_activations", {{"num_bits", 8}, {"type", "float"}, {"strategy", "token"}, {"dynamic", true}}},
        {"weights",
         {{"num_bits", 8},
          {"type", "float"},
          {"symmetric", true},
          {"strategy", "channel"},
          {"dynamic", false}}}}}}}};
// As DeepSeek-V3 and Qwen3-FP8 have it.
const json kFp8{{"quant_method", "fp8"},
                {"activation_scheme", "dynamic"},
                {"fmt", "e4m3"},
                {"modules_to_not_convert", {"lm_head"}},
                {"weight_block_size", {128, 64}}};

// The value with the field at this JSON pointer replaced.
json with(json value, const std::string& pointer, const json& replacement) {
  value[json::json_pointer(pointer)] = replacement;
  return value;
}

std::string problem_of(const json& value) {
  return error_of([&] { parse(value); });
}

TEST(QuantizationConfig, ReadsAwq) {
  const QuantizationConfig config = parse(kAwq);
  EXPECT_EQ(config, (QuantizationConfig{WeightFormat::awq, 4, 128, false, false}));
  EXPECT_EQ(config.to_string(), "AWQ, 4 bits, groups of 128");
  EXPECT_TRUE(parse(with(kAwq, "/zero_point", false)).symmetric);
  EXPECT_EQ(parse(with(kAwq, "/version", "GEMM")).format, WeightFormat::awq);
}

TEST(QuantizationConfig, ReadsGptqInBothVersions) {
  EXPECT_EQ(parse(kGptq), (QuantizationConfig{WeightFormat::gptq, 4, 128, false, false}));
  const json second = with(with(kGptq, "/checkpoint_format", "gptq_v2"), "/bits", 8);
  EXPECT_EQ(parse(with(second, "/group_size", -1)).to_string(), "GPTQ v2, 8 bits, whole rows");
  EXPECT_TRUE(parse(with(kGptq, "/sym", true)).symmetric);
  EXPECT_EQ(parse(with(kGptq, "/dynamic", {{"-:.*down.*", json::object()}})), parse(kGptq));
}

TEST(QuantizationConfig, ReadsCompressedTensors) {
  EXPECT_EQ(parse(kInt4), (QuantizationConfig{WeightFormat::pack_quantized, 4, 64, false, false}));
  EXPECT_EQ(parse(kW8A8), (QuantizationConfig{WeightFormat::int_quantized, 8, -1, true, true}));
  EXPECT_EQ(parse(kW8A8).to_string(),
            "compressed-tensors int-quantized, 8 bits, whole rows, 8-bit activations");
  // A group may name its own format, and a second group the same scheme.
  json two = with(with(kInt4, "/format", nullptr), "/config_groups/group_0/format", "pack-quantized");
  two["config_groups"]["group_1"] = two["config_groups"]["group_0"];
  EXPECT_EQ(parse(two), parse(kInt4));
}

TEST(QuantizationConfig, ReadsFloatsOfEightBits) {
  const std::string group = "/config_groups/group_0", weights = group + "/weights";
  EXPECT_EQ(parse(kFloats).to_string(), "compressed-tensors float-quantized, 8 bits, whole rows");
  EXPECT_TRUE(parse(kFloats).holds_floats());
  EXPECT_FALSE(parse(kFloats).int8_activations);
  json changed = with(kFloats, group + "/input_activations/dynamic", false);
  EXPECT_EQ(parse(with(changed, group + "/input_activations/strategy", "tensor")), parse(kFloats));
  EXPECT_EQ(parse(with(kFloats, group + "/input_activations", nullptr)), parse(kFloats));
  changed = with(with(kFloats, weights + "/strategy", "block"), weights + "/block_structure", {128, 64});
  EXPECT_EQ(parse(changed).to_string(), "compressed-tensors float-quantized, 8 bits, blocks of 128 x 64");
  changed = with(with(kFloats, weights + "/strategy", "group"), weights + "/group_size", 64);
  EXPECT_EQ(parse(changed).to_string(), "compressed-tensors float-quantized, 8 bits, groups of 64");

  EXPECT_EQ(parse(kFp8).to_string(), "FP8, 8 bits, blocks of 128 x 64");
  EXPECT_EQ(parse(with(kFp8, "/weight_block_size", nullptr)).to_string(), "FP8, 8 bits, whole rows");
  const json static_inputs{
      {"quant_method", "fp8"}, {"activation_scheme", "static"}, {"ignored_layers", {"lm_head"}}};
  EXPECT_EQ(parse(static_inputs), parse(with(kFp8, "/weight_block_size", nullptr)));
  EXPECT_EQ(parse({{"quant_method", "fbgemm_fp8"}, {"activation_scale_ub", 1200.0}}), parse(static_inputs));
}

TEST(QuantizationConfig, NamesWhatModelFormatCallsThem) {
  EXPECT_STREQ(model_format_name(WeightFormat::awq), "awq");
  EXPECT_STREQ(model_format_name(WeightFormat::gptq_v2), "gptq");
  EXPECT_STREQ(model_format_name(WeightFormat::int_quantized), "compressed-tensors");
  EXPECT_STREQ(model_format_name(WeightFormat::float_quantized), "compressed-tensors");
  EXPECT_STREQ(model_format_name(WeightFormat::fp8), "fp8");
}

TEST(QuantizationConfig, WhatIsNotHonouredIsRefusedByName) {
  const std::string weights = "/config_groups/group_0/weights",
                    inputs = "/config_groups/group_0/input_activations";
  const std::vector<std::tuple<json, std::string, std::string>> cases = {
      {with(kAwq, "/quant_method", "bitsandbytes"), "\"bitsandbytes\"", "awq, gptq, compressed-tensors, fp8"},
      {with(kFp8, "/fmt", "e5m2"), "fmt = \"e5m2\"", "e4m3"},
      {with(kFloats, weights + "/type", "int"), "type = \"int\"", "float"},
      {with(kFloats, weights + "/num_bits", 4), "num_bits = 4", "float-quantized with 8 bits"},
      {with(kFloats, weights + "/symmetric", false), "symmetric = false", "true"},
      {with(kFloats, inputs + "/type", "int"), "type = \"int\"", "float"},
      {with(kFloats, inputs + "/num_bits", 4), "num_bits = 4", "8"},
      {with(kAwq, "/version", "gemv"), "version = \"gemv\"", "gemm"},
      {with(kAwq, "/bits", 3), "bits = 3", "4 bits"},
      {with(kAwq, "/backend", "llm-awq"), "backend = \"llm-awq\"", "autoawq"},
      {with(kGptq, "/bits", 3), "bits = 3", "4 or 8 bits"},
      {with(kGptq, "/checkpoint_format", "marlin"), "checkpoint_format = \"marlin\"", "gptq_v2"},
      {with(kGptq, "/is_marlin_format", true), "is_marlin_format = true", "false"},
      {with(kGptq, "/pack_dtype", "int64"), "pack_dtype = \"int64\"", "int32"},
      {with(kGptq, "/rotation", "hadamard"), "rotation = \"hadamard\"", "without rotation"},
      {with(kGptq, "/dynamic", {{"+:.*", {{"bits", 8}}}}), "dynamic = ", "one scheme"},
      {with(kInt4, "/format", "marlin-24"), "\"marlin-24\"", "pack-quantized"},
      {with(kInt4, "/sparsity_config", {{"format", "sparse-24-bitmask"}}), "sparse-24-bitmask", "not sparse"},
      {with(kInt4, "/transform_config", {{"config_groups", {{"a", 1}}}}), "transform_config",
       "without transforms"},
      {with(kInt4, "/quantization_status", "frozen"), "\"frozen\"", "compressed"},
      {with(kInt4, weights + "/num_bits", 3), "num_bits = 3", "4 or 8 bits"},
      {with(kInt4, weights + "/type", "float"), "type = \"float\"", "int"},
      {with(kInt4, weights + "/strategy", "block"), "\"block\"", "group, channel and tensor"},
      {with(kInt4, "/config_groups/other", with(kInt4, weights + "/num_bits", 8)["config_groups"]["group_0"]),
       "two schemes", "one scheme"},
      {with(kW8A8, inputs + "/dynamic", false), "dynamic = false", "true"},
      {with(kW8A8, inputs + "/symmetric", false), "symmetric = false", "true"},
      {with(kW8A8, inputs + "/type", "float"), "type = \"float\"", "int"},
      {with(kW8A8, inputs + "/strategy", "tensor"), "strategy = \"tensor\"", "token"},
      {with(kW8A8, inputs + "/dynamic", nullptr), "no dynamic", "dynamic"},
      {with(kW8A8, "/config_groups/group_0/output_activations", {{"num_bits", 8}}), "output_activations",
       "without"},
      {with(kInt4, inputs, kW8A8["config_groups"]["group_0"]["input_activations"]), "8-bit activations",
       "8-bit weights"},
  };
  for (const auto& [value, problem, remedy] : cases)
    EXPECT_THAT(problem_of(value), AllOf(HasSubstr(problem), HasSubstr(remedy))) << value;
}

TEST(QuantizationConfig, DamagedValuesAreErrors) {
  const std::string weights = "/config_groups/group_0/weights";
  for (const json& value : {json("awq"),
                            json::array(),
                            json::object(),
                            with(kAwq, "/quant_method", 4),
                            with(kAwq, "/bits", "4"),
                            with(kAwq, "/bits", nullptr),
                            with(kAwq, "/group_size", 0),
                            with(kAwq, "/group_size", -2),
                            with(kAwq, "/group_size", 1e18),
                            with(kAwq, "/zero_point", 1),
                            with(kAwq, "/version", 1),
                            with(kFp8, "/weight_block_size", 128),
                            with(kFp8, "/weight_block_size", {128}),
                            with(kFp8, "/weight_block_size", {128, 0}),
                            with(kFp8, "/weight_block_size", {-1, 128}),
                            with(kFp8, "/weight_block_size", {128, 1e18}),
                            with(kFp8, "/weight_block_size", {128, "128"}),
                            with(kFp8, "/weight_block_size", {128, std::uint64_t{1} << 40}),
                            with(kFloats, weights + "/strategy", "block"),
                            with(kGptq, "/group_size", 0),
                            with(kGptq, "/sym", "yes"),
                            with(kGptq, "/dynamic", 1),
                            with(kInt4, "/config_groups", json::array()),
                            with(kInt4, "/config_groups", json::object()),
                            with(kInt4, "/config_groups/group_0", {"Linear"}),
                            with(kInt4, "/sparsity_config", "2:4"),
                            with(kInt4, "/sparsity_config", {{"format", 1}}),
                            with(kInt4, weights, nullptr),
                            with(kInt4, weights + "/group_size", 0),
                            with(kInt4, weights + "/group_size", nullptr),
                            with(kInt4, weights + "/strategy", 1),
                            with(kW8A8, "/config_groups/group_0/input_activations", 8)})
    EXPECT_NE(problem_of(value), "") << value;
}

TEST(QuantizationConfig, OldFoldersHaveItInAFileOfItsOwn) {
  const TempFolder folder;
  EXPECT_EQ(find_old_quantization_config(folder.path()), std::nullopt);
  folder.write("quant_config.json",
               R"({"zero_point": true, "q_group_size": 64, "w_bit": 4, "version": "GEMM"})");
  EXPECT_EQ(find_old_quantization_config(folder.path())->to_string(), "AWQ, 4 bits, groups of 64");
  folder.write("quantize_config.json",
               R"({"bits": 4, "group_size": 32, "damp_percent": 0.1, "desc_act": true,)"
               R"("static_groups": false, "sym": true, "true_sequential": true})");
  EXPECT_EQ(find_old_quantization_config(folder.path())->to_string(), "GPTQ, 4 bits, groups of 32");
  folder.write("quantize_config.json", "[]");
  EXPECT_NE(error_of([&] { find_old_quantization_config(folder.path()); }), "");
}

}  // namespace
}  // namespace lmdeploy
