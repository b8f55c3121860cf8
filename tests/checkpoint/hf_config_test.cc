#include "checkpoint/hf_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "base/log.h"
#include "checkpoint/foreign_bytes.h"

namespace lmdeploy {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::error_of;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

json smallest() {
  return {{"architectures", {"LlamaForCausalLM"}},
          {"model_type", "llama"},
          {"vocab_size", 32000},
          {"hidden_size", 64},
          {"intermediate_size", 128},
          {"num_hidden_layers", 2},
          {"num_attention_heads", 4},
          {"max_position_embeddings", 2048}};
}

json with(const json& changes) {
  json config = smallest();
  config.update(changes);
  return config;
}

HfConfig parse(const json& config, const std::string& overrides = {}) {
  return parse_hf_config(config.dump(), "config.json", overrides);
}

std::string problem_of(const json& changes) {
  return error_of([&] { parse(with(changes)); });
}

// What the parse of a good configuration logs.
std::string warnings_of(const json& changes) {
  std::ostringstream text;
  const auto before = spdlog::default_logger();
  spdlog::set_default_logger(
      std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::ostream_sink_mt>(text)));
  parse(with(changes));
  spdlog::set_default_logger(before);
  return text.str();
}

TEST(HfConfig, FillsInWhatTransformersTakesByDefault) {
  const HfConfig config = parse(smallest());
  EXPECT_EQ(config.architecture, "LlamaForCausalLM");
  EXPECT_EQ(config.num_key_value_heads, 4);
  EXPECT_EQ(config.head_dim, 16);
  EXPECT_EQ(config.dtype, DType::bf16);
  EXPECT_EQ(config.rms_norm_eps, 1e-6);
  EXPECT_EQ(config.rope.rope_type, "default");
  EXPECT_EQ(config.rope.rope_theta, 10000);
  EXPECT_FALSE(config.tie_word_embeddings);
  EXPECT_EQ(config.attention_bias, std::nullopt);
  EXPECT_THAT(config.eos_token_id, IsEmpty());
}

TEST(HfConfig, ReadsWhatIsThere) {
  const HfConfig config = parse(with({{"num_key_value_heads", 2},
                                      {"head_dim", 32},
                                      {"torch_dtype", "float16"},
                                      {"rms_norm_eps", 1e-5},
                                      {"rope_theta", 500000.0},
                                      {"tie_word_embeddings", true},
                                      {"attention_bias", true},
                                      {"bias", false},
                                      {"eos_token_id", {2, 7}},
                                      {"bos_token_id", 1},
                                      {"pad_token_id", -1}}));
  EXPECT_EQ(config.num_key_value_heads, 2);
  EXPECT_EQ(config.head_dim, 32);
  EXPECT_EQ(config.dtype, DType::f16);
  EXPECT_EQ(config.rms_norm_eps, 1e-5);
  EXPECT_EQ(config.rope.rope_theta, 500000);
  EXPECT_TRUE(config.tie_word_embeddings);
  EXPECT_EQ(config.attention_bias, true);
  EXPECT_EQ(config.bias, false);
  EXPECT_THAT(config.eos_token_id, ElementsAre(2, 7));
  EXPECT_EQ(config.bos_token_id, 1);
  EXPECT_EQ(config.pad_token_id, std::nullopt);
}

TEST(HfConfig, BothSpellingsOfTheDtype) {
  EXPECT_EQ(parse(with({{"dtype", "float32"}})).dtype, DType::f32);
  EXPECT_EQ(parse(with({{"torch_dtype", "float32"}})).dtype, DType::f32);
  EXPECT_EQ(parse(with({{"dtype", "float16"}, {"torch_dtype", "float32"}})).dtype, DType::f16);
  EXPECT_THAT(problem_of({{"dtype", "float64"}}), HasSubstr("dtype must be float32, bfloat16 or float16"));
}

TEST(HfConfig, DefaultsThatDependOnTheModelType) {
  EXPECT_EQ(parse(with({{"model_type", "qwen3"}, {"num_key_value_heads", 2}})).head_dim, 128);
  EXPECT_EQ(parse(with({{"model_type", "mistral"}, {"num_attention_heads", 16}})).num_key_value_heads, 8);
  EXPECT_EQ(parse(with({{"model_type", "mistral"}, {"num_key_value_heads", 4}})).sliding_window, 4096);
}

TEST(HfConfig, HarmlessFieldsPassWithoutAWord) {
  EXPECT_EQ(warnings_of({{"auto_map", {{"AutoConfig", "configuration_internlm2.InternLM2Config"}}},
                         {"pretraining_tp", 4},
                         {"attn_implementation", "eager"},
                         {"_name_or_path", "a/b"},
                         {"transformers_version", "4.41.0"},
                         {"initializer_range", 0.02},
                         {"use_cache", true},
                         {"attention_dropout", 0.1},
                         {"hidden_act", "silu"},
                         {"rope_scaling", nullptr},
                         {"quantization_config", nullptr},
                         {"use_sliding_window", false}}),
            "");
}

TEST(HfConfig, UnknownFieldsWarnByName) {
  EXPECT_THAT(warnings_of({{"brand_new_field", 3}, {"another", "x"}}),
              AllOf(HasSubstr("brand_new_field = 3"), HasSubstr("another = \"x\"")));
}

TEST(HfConfig, WhatChangesTheArithmeticIsRefusedByNameAndValue) {
  const std::vector<std::pair<std::string, json>> cases = {
      {"hidden_act", "gelu"},
      {"attn_logit_softcapping", 50.0},
      {"final_logit_softcapping", 30.0},
      {"num_experts", 8},
      {"num_local_experts", 8},
      {"partial_rotary_factor", 0.5},
      {"logits_scaling", 8.0},
      {"clip_qkv", 8},
      {"embedding_multiplier", 12},
      {"use_qk_norm", true},
      {"alibi", true},
      {"kv_lora_rank", 512},
      {"attention_chunk_size", 8192},
      {"no_rope_layers", {1, 0}},
      {"query_pre_attn_scalar", 256},
      {"qkv_bias", true},
      {"is_encoder_decoder", true},
  };
  for (const auto& [field, value] : cases)
    EXPECT_THAT(problem_of({{field, value}}), HasSubstr(field + " = " + value.dump())) << field;
}

TEST(HfConfig, NeutralValuesOfSuchFieldsPass) {
  EXPECT_EQ(warnings_of({{"partial_rotary_factor", 1.0},
                         {"logits_scaling", 1},
                         {"num_experts", 0},
                         {"hidden_act", "silu"},
                         {"clip_qkv", nullptr},
                         {"use_qk_norm", false}}),
            "");
}

TEST(HfConfig, ReadsHowWeightsAreQuantised) {
  EXPECT_EQ(parse(smallest()).quantization, std::nullopt);
  const HfConfig config =
      parse(with({{"quantization_config", {{"quant_method", "gptq"}, {"bits", 8}, {"group_size", 32}}}}));
  ASSERT_TRUE(config.quantization);
  EXPECT_EQ(config.quantization->to_string(), "GPTQ, 8 bits, groups of 32");
  EXPECT_THAT(problem_of({{"quantization_config", json::object()}}), HasSubstr("quantization_config"));
}

TEST(HfConfig, ModelsOfSeveralPartsAreRefused) {
  EXPECT_THAT(problem_of({{"text_config", json::object()}}), HasSubstr("\"text_config\""));
  EXPECT_THAT(problem_of({{"vision_config", json::object()}}), HasSubstr("\"vision_config\""));
}

TEST(HfConfig, SizesMustBeSane) {
  const std::vector<std::pair<json, std::string>> cases = {
      {{{"num_attention_heads", 0}}, "num_attention_heads must be a whole number"},
      {{{"num_key_value_heads", 0}}, "num_key_value_heads must be a whole number"},
      {{{"num_key_value_heads", 3}}, "a divisor of num_attention_heads = 4"},
      {{{"num_key_value_heads", 8}}, "a divisor of num_attention_heads = 4"},
      {{{"num_attention_heads", 5}}, "a divisor of hidden_size = 64"},
      {{{"num_hidden_layers", 1000000000}}, "num_hidden_layers"},
      {{{"num_hidden_layers", -1}}, "num_hidden_layers"},
      {{{"hidden_size", 9223372036854775807}}, "hidden_size"},
      {{{"hidden_size", 18446744073709551615U}}, "hidden_size"},
      {{{"hidden_size", 64.5}}, "hidden_size"},
      {{{"hidden_size", "64"}}, "hidden_size"},
      {{{"hidden_size", true}}, "hidden_size"},
      {{{"hidden_size", nullptr}}, "hidden_size"},
      {{{"vocab_size", 0}}, "vocab_size"},
      {{{"head_dim", 0}}, "head_dim"},
      {{{"head_dim", 33}}, "head_dim must be even"},
      {{{"max_position_embeddings", 0}}, "max_position_embeddings"},
      {{{"intermediate_size", 0}}, "intermediate_size"},
      {{{"rms_norm_eps", 0}}, "rms_norm_eps"},
      {{{"rms_norm_eps", 2}}, "rms_norm_eps"},
      {{{"rope_theta", 0}}, "rope_theta"},
      {{{"rope_theta", -1.0}}, "rope_theta"},
      {{{"tie_word_embeddings", 1}}, "tie_word_embeddings must be true or false"},
      {{{"eos_token_id", "2"}}, "eos_token_id"},
      {{{"eos_token_id", {1, 99999999999}}}, "eos_token_id"},
      {{{"bos_token_id", {1, 2}}}, "bos_token_id must be one token id"},
      {{{"architectures", json::array()}}, "architectures"},
      {{{"architectures", nullptr}}, "architectures"},
      {{{"architectures", {1}}}, "architectures"},
  };
  for (const auto& [changes, expected] : cases)
    EXPECT_THAT(problem_of(changes), HasSubstr(expected)) << changes.dump();
}

TEST(HfConfig, WholeNumbersMayBeWrittenAsFloats) {
  EXPECT_EQ(parse(with({{"max_position_embeddings", 4096.0}})).max_position_embeddings, 4096);
}

TEST(HfConfig, TextThatIsNotAConfigurationIsRefused) {
  for (const char* text : {"", "[]", "null", "{", R"({"hidden_size": 1e400})", R"({"hidden_size": NaN})",
                           R"({"a": 1, "a": 2})", "{\"a\": \"\xff\"}"})
    EXPECT_THAT(error_of([&] { parse_hf_config(text, "config.json"); }), HasSubstr("config.json")) << text;
  const std::string deep = R"({"a":)" + std::string(100'000, '[');
  EXPECT_THAT(error_of([&] { parse_hf_config(deep, "config.json"); }), HasSubstr("nested"));
}

TEST(HfConfig, SlidingWindows) {
  const auto window = [](const json& changes) { return parse(with(changes)).sliding_window; };
  const json mistral = {{"model_type", "mistral"}, {"num_key_value_heads", 4}};
  const auto of = [](json base, const json& changes) {
    base.update(changes);
    return base;
  };
  EXPECT_EQ(window(of(mistral, {{"sliding_window", 128}})), 128);
  EXPECT_EQ(window(of(mistral, {{"sliding_window", nullptr}})), 0);

  const json qwen = {{"model_type", "qwen2"}, {"num_key_value_heads", 4}, {"sliding_window", 128}};
  EXPECT_EQ(window(of(qwen, {{"use_sliding_window", false}, {"max_window_layers", 1}})), 0);
  EXPECT_EQ(window(of(qwen, {{"use_sliding_window", true}, {"max_window_layers", 0}})), 128);
  EXPECT_EQ(window(of(qwen, {{"use_sliding_window", true}, {"max_window_layers", 2}})), 0);
  EXPECT_EQ(window(of(qwen, {{"use_sliding_window", true}, {"max_window_layers", 28}})), 0);
  // Only some layers, but the window is as wide as the context.
  EXPECT_EQ(
      window(of(qwen, {{"use_sliding_window", true}, {"max_window_layers", 1}, {"sliding_window", 2048}})),
      0);
  EXPECT_THAT(problem_of(of(qwen, {{"use_sliding_window", true}, {"max_window_layers", 1}})),
              AllOf(HasSubstr("1 of 2 layers"), HasSubstr("--hf-overrides")));
  EXPECT_THAT(problem_of(of(mistral, {{"sliding_window", 0}})), HasSubstr("sliding_window"));
}

TEST(HfConfig, LayerTypes) {
  const json qwen = {{"model_type", "qwen2"},
                     {"num_key_value_heads", 4},
                     {"use_sliding_window", true},
                     {"sliding_window", 128}};
  const auto of = [&qwen](const json& types) {
    json changes = qwen;
    changes["layer_types"] = types;
    return changes;
  };
  EXPECT_EQ(parse(with(of({"full_attention", "full_attention"}))).sliding_window, 0);
  EXPECT_EQ(parse(with(of({"sliding_attention", "sliding_attention"}))).sliding_window, 128);
  EXPECT_THAT(problem_of(of({"sliding_attention", "full_attention"})), HasSubstr("mixed layers"));
  EXPECT_THAT(problem_of(of({"linear_attention", "full_attention"})), HasSubstr("\"linear_attention\""));
  EXPECT_THAT(problem_of(of({"full_attention"})), HasSubstr("num_hidden_layers = 2"));
  EXPECT_THAT(problem_of({{"layer_types", {"chunked_attention", "full_attention"}}}),
              HasSubstr("\"chunked_attention\""));
}

TEST(HfConfig, OverridesAreMergedFieldByField) {
  const json config = with({{"rope_scaling", {{"type", "dynamic"}, {"factor", 2.0}}}});
  EXPECT_EQ(parse(config, R"({"rope_scaling": {"factor": 4.0}})").rope.factor, 4);
  EXPECT_EQ(parse(config, R"({"rope_scaling": {"factor": 4.0}})").rope.rope_type, "dynamic");
  EXPECT_EQ(parse(config, R"({"rope_scaling": null})").rope.rope_type, "default");
  EXPECT_EQ(parse(config, R"({"max_position_embeddings": 99})").max_position_embeddings, 99);
  EXPECT_THAT(error_of([&] { parse(config, "[1]"); }), HasSubstr("--hf-overrides"));
  EXPECT_THAT(error_of([&] { parse(config, "{"); }), HasSubstr("--hf-overrides"));
}

TEST(HfConfig, AFolderWithoutConfigIsNamed) {
  testing::TempFolder folder;
  EXPECT_THAT(error_of([&] { load_hf_config(folder.path()); }), HasSubstr("has no config.json"));
  folder.write("config.json", smallest().dump());
  EXPECT_EQ(load_hf_config(folder.path()).hidden_size, 64);
  EXPECT_EQ(load_hf_config(folder.path(), R"({"hidden_size": 128})").hidden_size, 128);
}

TEST(GenerationConfig, ReadsBothSpellingsOfEos) {
  const auto parse_text = [](const char* text) {
    return parse_generation_config(text, "generation_config.json");
  };
  const GenerationConfig config = parse_text(
      R"({"do_sample": true, "temperature": 0.6, "top_k": 20, "top_p": 0.95, "repetition_penalty": 1.05,
          "max_new_tokens": 512, "eos_token_id": [151645, 151643], "bos_token_id": 151643, "transformers_version": "4.37.0"})");
  EXPECT_EQ(config.do_sample, true);
  EXPECT_EQ(config.temperature, 0.6);
  EXPECT_EQ(config.top_k, 20);
  EXPECT_EQ(config.top_p, 0.95);
  EXPECT_EQ(config.min_p, std::nullopt);
  EXPECT_EQ(config.max_new_tokens, 512);
  EXPECT_THAT(config.eos_token_id, ElementsAre(151645, 151643));
  EXPECT_THAT(parse_text(R"({"eos_token_id": 2})").eos_token_id, ElementsAre(2));
  for (const char* bad : {R"({"temperature": -1})", R"({"top_p": 1.5})", R"({"top_k": -1})",
                          R"({"top_k": 1.5})", R"({"repetition_penalty": 0})", R"({"do_sample": "yes"})",
                          R"({"min_p": 2})", R"({"typical_p": -1})", "[]", ""})
    EXPECT_THAT(error_of([&] { parse_text(bad); }), HasSubstr("generation_config.json")) << bad;
}

TEST(GenerationConfig, AnAbsentFileIsAnEmptyStruct) {
  testing::TempFolder folder;
  EXPECT_EQ(load_generation_config(folder.path()).temperature, std::nullopt);
  folder.write("generation_config.json", R"({"temperature": 0.5})");
  EXPECT_EQ(load_generation_config(folder.path()).temperature, 0.5);
}

}  // namespace
}  // namespace lmdeploy
