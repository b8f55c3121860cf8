#include "checkpoint/rope_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "checkpoint/foreign_bytes.h"

namespace lmdeploy {
namespace {

using nlohmann::json;
using testing::error_of;
using ::testing::HasSubstr;

RopeConfig parse(const json& config) {
  return parse_rope_config(config, "config.json");
}

std::string problem_of(const json& scaling) {
  return error_of([&] { parse({{"rope_scaling", scaling}}); });
}

TEST(RopeConfig, OldAndNewSpellingsAreTheSame) {
  const RopeConfig old_one =
      parse({{"rope_theta", 1e6}, {"rope_scaling", {{"type", "dynamic"}, {"factor", 2.0}}}});
  const RopeConfig new_one =
      parse({{"rope_parameters", {{"rope_type", "dynamic"}, {"factor", 2.0}, {"rope_theta", 1e6}}}});
  for (const RopeConfig& rope : {old_one, new_one}) {
    EXPECT_EQ(rope.rope_type, "dynamic");
    EXPECT_EQ(rope.rope_theta, 1e6);
    EXPECT_EQ(rope.factor, 2);
  }
}

TEST(RopeConfig, NothingMeansDefault) {
  for (const json& config :
       {json::object(), json{{"rope_scaling", nullptr}}, json{{"rope_scaling", json::object()}},
        json{{"rope_parameters", {{"rope_type", "default"}, {"rope_theta", 10000.0}}}}}) {
    EXPECT_EQ(parse(config).rope_type, "default");
    EXPECT_EQ(parse(config).rope_theta, 10000);
    EXPECT_EQ(parse(config).factor, 1);
  }
}

TEST(RopeConfig, AnEmptyScalingLeavesTheParameters) {
  EXPECT_EQ(parse({{"rope_scaling", nullptr}, {"rope_parameters", {{"rope_theta", 7.0}}}}).rope_theta, 7);
}

TEST(RopeConfig, ReadsLlama3) {
  const RopeConfig rope = parse({{"rope_theta", 500000.0},
                                 {"rope_scaling",
                                  {{"rope_type", "llama3"},
                                   {"factor", 32.0},
                                   {"low_freq_factor", 1.0},
                                   {"high_freq_factor", 4.0},
                                   {"original_max_position_embeddings", 8192}}}});
  EXPECT_EQ(rope.factor, 32);
  EXPECT_EQ(rope.low_freq_factor, 1);
  EXPECT_EQ(rope.high_freq_factor, 4);
  EXPECT_EQ(rope.original_max_position_embeddings, 8192);
}

TEST(RopeConfig, ReadsYarn) {
  const RopeConfig rope = parse({{"rope_scaling",
                                  {{"type", "yarn"},
                                   {"factor", 4.0},
                                   {"original_max_position_embeddings", 32768},
                                   {"attention_factor", 1.2},
                                   {"beta_fast", 30},
                                   {"beta_slow", 2},
                                   {"mscale", 0.707},
                                   {"truncate", false}}}});
  EXPECT_EQ(rope.rope_type, "yarn");
  EXPECT_EQ(rope.attention_factor, 1.2);
  EXPECT_EQ(rope.beta_fast, 30);
  EXPECT_EQ(rope.beta_slow, 2);
  EXPECT_EQ(rope.mscale, 0.707);
  EXPECT_EQ(rope.mscale_all_dim, std::nullopt);
  EXPECT_FALSE(rope.truncate);
}

TEST(RopeConfig, TheOriginalContextMayStandOutside) {
  EXPECT_EQ(parse({{"original_max_position_embeddings", 4096},
                   {"rope_scaling", {{"type", "yarn"}, {"factor", 4.0}}}})
                .original_max_position_embeddings,
            4096);
}

TEST(RopeConfig, RefusesWhatItDoesNotKnowOrCannotUse) {
  EXPECT_THAT(problem_of({{"type", "longrope"}, {"factor", 2}}), HasSubstr("\"longrope\""));
  EXPECT_THAT(problem_of({{"type", "su"}}), HasSubstr("\"su\""));
  EXPECT_THAT(problem_of({{"type", "mrope"}, {"mrope_section", {1, 2}}}), HasSubstr("mrope"));
  EXPECT_THAT(problem_of({{"rope_type", "default"}, {"partial_rotary_factor", 0.5}}),
              HasSubstr("partial_rotary_factor"));
  EXPECT_THAT(problem_of({{"rope_type", "llama3"}, {"type", "linear"}, {"factor", 2}}),
              HasSubstr("contradict"));
  EXPECT_THAT(problem_of({{"full_attention", {{"rope_type", "default"}}}}), HasSubstr("full_attention"));
  EXPECT_THAT(problem_of("dynamic"), HasSubstr("rope_scaling must be an object"));
}

TEST(RopeConfig, RefusesMissingAndBadValues) {
  EXPECT_THAT(problem_of({{"type", "linear"}}), HasSubstr("factor must be a number above 0, found nothing"));
  EXPECT_THAT(problem_of({{"type", "dynamic"}, {"factor", 0}}), HasSubstr("factor"));
  EXPECT_THAT(problem_of({{"type", "dynamic"}, {"factor", "2"}}), HasSubstr("factor"));
  EXPECT_THAT(problem_of({{"type", "linear"}, {"factor", 0.5}}), HasSubstr("at least 1"));
  json llama3 = {{"rope_type", "llama3"},
                 {"factor", 8},
                 {"low_freq_factor", 1},
                 {"high_freq_factor", 4},
                 {"original_max_position_embeddings", 8192}};
  for (const char* field :
       {"factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"}) {
    json without = llama3;
    without.erase(field);
    EXPECT_THAT(problem_of(without), HasSubstr(field));
  }
  llama3["high_freq_factor"] = 1;
  EXPECT_THAT(problem_of(llama3), HasSubstr("above low_freq_factor"));
}

}  // namespace
}  // namespace lmdeploy
