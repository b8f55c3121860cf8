#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "checkpoint/foreign_bytes.h"
#include "convert/gguf_to_hf.h"
#include "convert/tiny_gguf.h"

namespace lmdeploy {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::error_of;
using ::testing::HasSubstr;
using testing::TempFolder;
using testing::TinyGguf;

// Converts the model after `change`; returns what the Error says, and checks that nothing is left behind.
std::string problem_of(const std::function<void(TinyGguf&)>& change) {
  TempFolder folder;
  TinyGguf model;
  change(model);
  const auto file = folder.write("model.gguf", model.build());
  const std::string problem = error_of([&] { convert_gguf(file, folder.path() / "out", {}); });
  if (!problem.empty()) {
    EXPECT_THAT(folder.names(), ElementsAre("model.gguf"));
  }
  return problem;
}

json config_of(const std::function<void(TinyGguf&)>& change) {
  TempFolder folder;
  TinyGguf model;
  change(model);
  convert_gguf(folder.write("model.gguf", model.build()), folder.path() / "out", {});
  return json::parse(testing::read_bytes(folder.path() / "out" / "config.json"));
}

TEST(Convert, TheTinyModelItselfIsGood) {
  EXPECT_EQ(problem_of([](TinyGguf&) {}), "");
}

TEST(Convert, UnknownNamesAreRefusedWithTheKnownOnes) {
  EXPECT_THAT(problem_of([](TinyGguf& m) { m.strings["general.architecture"] = "internlm2"; }),
              AllOf(HasSubstr("\"internlm2\""), HasSubstr("llama, qwen2, qwen3")));
  EXPECT_THAT(problem_of([](TinyGguf& m) { m.strings["tokenizer.ggml.pre"] = "brand-new"; }),
              AllOf(HasSubstr("\"brand-new\""), HasSubstr("smollm")));
  EXPECT_THAT(problem_of([](TinyGguf& m) { m.strings["tokenizer.ggml.model"] = "t5"; }),
              AllOf(HasSubstr("\"t5\""), HasSubstr("gpt2")));
  EXPECT_THAT(problem_of([](TinyGguf& m) { m.strings["llama.rope.scaling.type"] = "longrope"; }),
              HasSubstr("\"longrope\""));
}

TEST(Convert, MissingMetadataIsNamed) {
  for (const char* key : {"llama.block_count", "llama.context_length", "llama.embedding_length",
                          "llama.feed_forward_length", "llama.attention.head_count"})
    EXPECT_THAT(problem_of([&](TinyGguf& m) { m.integers.erase(key); }), HasSubstr(key));
  EXPECT_THAT(problem_of([](TinyGguf& m) { m.floats.clear(); }), HasSubstr("layer_norm_rms_epsilon"));
  EXPECT_THAT(problem_of([](TinyGguf& m) { m.lists.erase("tokenizer.ggml.tokens"); }),
              HasSubstr("tokenizer.ggml.tokens"));
  EXPECT_THAT(problem_of([](TinyGguf& m) { m.lists.erase("tokenizer.ggml.merges"); }),
              HasSubstr("tokenizer.ggml.merges"));
}

TEST(Convert, SizesMustBeSane) {
  const auto with = [](const std::string& key, std::uint32_t value) {
    return problem_of([&](TinyGguf& m) { m.integers[key] = value; });
  };
  EXPECT_THAT(with("llama.attention.head_count", 0), HasSubstr("head_count = 0"));
  EXPECT_THAT(with("llama.attention.head_count", 3), HasSubstr("3 heads do not divide"));
  EXPECT_THAT(with("llama.attention.head_count_kv", 3), HasSubstr("3 key-value heads"));
  EXPECT_THAT(with("llama.block_count", 1000000000), HasSubstr("block_count"));
  EXPECT_THAT(with("llama.block_count", 2), HasSubstr("blk.1.attn_norm.weight is missing"));
  EXPECT_THAT(with("llama.rope.dimension_count", 2), HasSubstr("2 (rope)"));
  EXPECT_THAT(with("llama.attention.key_length", 3), HasSubstr("3 (keys)"));
  EXPECT_THAT(with("llama.feed_forward_length", 17),
              HasSubstr("blk.0.ffn_gate.weight has the shape [16, 8]"));
}

TEST(Convert, WhatTheClassCannotExpressIsRefused) {
  EXPECT_THAT(problem_of([](TinyGguf& m) { m.integers["llama.expert_count"] = 8; }),
              HasSubstr("expert_count = 8"));
  EXPECT_THAT(problem_of([](TinyGguf& m) { m.floats["llama.logit_scale"] = 0.5F; }),
              HasSubstr("logit_scale = 0.5"));
  EXPECT_THAT(problem_of([](TinyGguf& m) { m.tensors["blk.0.ffn_gate_inp.weight"] = {{8, 8}, 0.0F}; }),
              HasSubstr("blk.0.ffn_gate_inp.weight has no place"));
  EXPECT_EQ(problem_of([](TinyGguf& m) { m.integers["llama.expert_count"] = 0; }), "");
  EXPECT_EQ(problem_of([](TinyGguf& m) { m.floats["llama.logit_scale"] = 1.0F; }), "");
}

TEST(Convert, BiasesAreAllOrNone) {
  const auto add = [](TinyGguf& m, const char* name) { m.tensors[name] = {{8}, 0.5F}; };
  EXPECT_THAT(problem_of([&](TinyGguf& m) { add(m, "blk.0.attn_q.bias"); }), HasSubstr("bias is missing"));
  EXPECT_THAT(problem_of([&](TinyGguf& m) { add(m, "blk.0.attn_k.bias"); }), HasSubstr("no place"));
  const json config = config_of([&](TinyGguf& m) {
    for (const char* name :
         {"blk.0.attn_q.bias", "blk.0.attn_k.bias", "blk.0.attn_v.bias", "blk.0.attn_output.bias"})
      add(m, name);
  });
  EXPECT_EQ(config["attention_bias"], true);
  EXPECT_EQ(config["mlp_bias"], false);
}

TEST(Convert, AHeadOfItsOwnUntiesTheEmbedding) {
  EXPECT_EQ(config_of([](TinyGguf&) {})["tie_word_embeddings"], true);
  EXPECT_EQ(
      config_of([](TinyGguf& m) { m.tensors["output.weight"] = {{8, 4}, 1.0F}; })["tie_word_embeddings"],
      false);
}

TEST(Convert, AVocabularyOfAnotherSizeIsRefused) {
  EXPECT_THAT(problem_of([](TinyGguf& m) { m.lists["tokenizer.ggml.tokens"].push_back("c"); }),
              HasSubstr("5 tokens, the embedding 4 rows"));
}

TEST(Convert, BadTokensAreRefused) {
  const auto with_last = [](const std::string& token) {
    return problem_of([&](TinyGguf& m) { m.lists["tokenizer.ggml.tokens"].back() = token; });
  };
  EXPECT_THAT(with_last("a"), HasSubstr("token 3 (\"a\") stands twice"));
  EXPECT_THAT(with_last("\xff"), HasSubstr("token 3 is not valid UTF-8"));
  EXPECT_THAT(with_last("\xed\xa0\x80"), HasSubstr("not valid UTF-8"));
  EXPECT_EQ(with_last(""), "");
  for (const char* merge : {"ab", "a ", "a c", "b a", "a  b"})
    EXPECT_THAT(problem_of([&](TinyGguf& m) { m.lists["tokenizer.ggml.merges"] = {merge}; }),
                HasSubstr("the merge"))
        << merge;
}

TEST(Convert, SpecialIdsOutsideTheVocabularyAreLeftOut) {
  const json config = config_of([](TinyGguf& m) {
    m.integers["tokenizer.ggml.bos_token_id"] = 0xffffffff;
    m.integers["tokenizer.ggml.padding_token_id"] = 4;
  });
  EXPECT_FALSE(config.contains("bos_token_id"));
  EXPECT_FALSE(config.contains("pad_token_id"));
  EXPECT_EQ(config["eos_token_id"], 3);
}

TEST(Convert, ValuesThatAreNotFiniteAreRefused) {
  for (const float value : {std::nanf(""), INFINITY, 3.4e38F})
    EXPECT_THAT(problem_of([&](TinyGguf& m) { m.tensors["blk.0.ffn_down.weight"].value = value; }),
                HasSubstr("blk.0.ffn_down.weight holds a value"))
        << value;
}

TEST(Convert, AFolderThatIsInUseIsNotTouched) {
  TempFolder folder;
  const auto file = folder.write("model.gguf", TinyGguf().build());
  folder.write("out/notes.txt", "mine");
  EXPECT_THAT(error_of([&] { convert_gguf(file, folder.path() / "out", {}); }), HasSubstr("not empty"));
  EXPECT_EQ(testing::read_bytes(folder.path() / "out" / "notes.txt"), "mine");
  EXPECT_THAT(error_of([&] { convert_gguf(file, file, {}); }), HasSubstr("not empty"));
}

TEST(Convert, AnEmptyFolderAndMissingParentsAreFine) {
  TempFolder folder;
  const auto file = folder.write("model.gguf", TinyGguf().build());
  std::filesystem::create_directory(folder.path() / "empty");
  convert_gguf(file, folder.path() / "empty", {});
  EXPECT_TRUE(std::filesystem::exists(folder.path() / "empty" / "config.json"));
  convert_gguf(file, (folder.path() / "a" / "b").string() + "/", {});
  EXPECT_TRUE(std::filesystem::exists(folder.path() / "a" / "b" / "config.json"));
  EXPECT_THAT(folder.names(), ElementsAre("a", "empty", "model.gguf"));
}

TEST(Convert, ProgressGrowsToTheEnd) {
  TempFolder folder;
  const auto file = folder.write("model.gguf", TinyGguf().build());
  std::vector<std::int64_t> done;
  std::int64_t total = 0;
  convert_gguf(file, folder.path() / "out", [&](std::int64_t done_bytes, std::int64_t total_bytes) {
    done.push_back(done_bytes);
    total = total_bytes;
  });
  EXPECT_TRUE(std::is_sorted(done.begin(), done.end()));
  EXPECT_EQ(done.front(), 0);
  EXPECT_EQ(done.back(), total);
  EXPECT_EQ(total, 2 * (4 * 8 + 3 * 8 + 4 * 64 + 3 * 128));
}

// What the callback throws ends the conversion as any failure does: Ctrl-C arrives so.
TEST(Convert, AnInterruptedConversionLeavesNothing) {
  TempFolder folder;
  const auto file = folder.write("model.gguf", TinyGguf().build());
  EXPECT_THAT(error_of([&] {
                convert_gguf(file, folder.path() / "out", [](std::int64_t done_bytes, std::int64_t) {
                  if (done_bytes > 100) throw Error("interrupted");
                });
              }),
              HasSubstr("interrupted"));
  EXPECT_THAT(folder.names(), ElementsAre("model.gguf"));
}

TEST(Convert, OtherFilesAreRefused) {
  TempFolder folder;
  EXPECT_THAT(error_of([&] { convert_gguf(folder.path() / "none.gguf", folder.path() / "out", {}); }),
              HasSubstr("none.gguf"));
  const auto zip = folder.write("model.bin", "PK\3\4");
  EXPECT_THAT(error_of([&] { convert_gguf(zip, folder.path() / "out", {}); }), HasSubstr("not a GGUF file"));
}

}  // namespace
}  // namespace lmdeploy
