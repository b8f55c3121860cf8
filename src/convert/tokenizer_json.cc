#include "convert/tokenizer_json.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "convert/merges.h"
#include "convert/pre_tokenizers.h"

namespace lmdeploy::convert {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

const std::string kSpace = "\u2581";  // how SentencePiece writes a space

// JSON of one string; the vocabulary and the merges are put together by hand, because a tree of 300,000 nodes
// is slow and an object that keeps its order is searched from the front.
std::string quoted(const std::string& text) {
  return json(text).dump();
}

// Tokens that are recognised in text before anything else looks at it.
ordered_json added_tokens(const Vocabulary& vocabulary) {
  ordered_json list = ordered_json::array();
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const TokenType type = vocabulary.types[id];
    const bool special = type == TokenType::control || type == TokenType::unknown;
    if (!special && type != TokenType::user_defined) continue;
    list.push_back({{"id", id},
                    {"content", vocabulary.tokens[id]},
                    {"single_word", false},
                    {"lstrip", false},
                    {"rstrip", false},
                    {"normalized", false},
                    {"special", special}});
  }
  return list;
}

ordered_json byte_level(bool use_regex) {
  return {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", use_regex}};
}

ordered_json pre_tokenizer(const PreTokenizer& row) {
  ordered_json steps = ordered_json::array();
  for (const std::string_view pattern : row.patterns)
    steps.push_back(
        {{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}, {"invert", false}});
  steps.push_back(byte_level(false));
  return {{"type", "Sequence"}, {"pretokenizers", steps}};
}

ordered_json replace(const std::string& from, const std::string& to) {
  return {{"type", "Replace"}, {"pattern", {{"String", from}}}, {"content", to}};
}

ordered_json sentencepiece_normalizer(const Vocabulary& vocabulary) {
  ordered_json steps = ordered_json::array();
  if (vocabulary.add_space_prefix) steps.push_back({{"type", "Prepend"}, {"prepend", kSpace}});
  steps.push_back(replace(" ", kSpace));
  return {{"type", "Sequence"}, {"normalizers", steps}};
}

ordered_json sentencepiece_decoder(const Vocabulary& vocabulary) {
  ordered_json steps = {replace(kSpace, " "), {{"type", "ByteFallback"}}, {{"type", "Fuse"}}};
  if (vocabulary.add_space_prefix)
    steps.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  return {{"type", "Sequence"}, {"decoders", steps}};
}

// What add_special_tokens puts around a text.
ordered_json post_processor(const Vocabulary& vocabulary) {
  const bool bos = vocabulary.add_bos && vocabulary.bos_id;
  const bool eos = vocabulary.add_eos && vocabulary.eos_id;
  if (!bos && !eos) return nullptr;
  ordered_json special_tokens = ordered_json::object();
  const auto special = [&](std::int32_t id, int type_id) -> ordered_json {
    const std::string& token = vocabulary.tokens[static_cast<std::size_t>(id)];
    special_tokens[token] = {{"id", token}, {"ids", {id}}, {"tokens", {token}}};
    return {{"SpecialToken", {{"id", token}, {"type_id", type_id}}}};
  };
  const auto add_text = [&](ordered_json& list, const char* name, int type_id) {
    if (bos) list.push_back(special(*vocabulary.bos_id, type_id));
    list.push_back({{"Sequence", {{"id", name}, {"type_id", type_id}}}});
    if (eos) list.push_back(special(*vocabulary.eos_id, type_id));
  };
  ordered_json single = ordered_json::array();
  add_text(single, "A", 0);
  ordered_json pair = single;
  add_text(pair, "B", 1);
  return {
      {"type", "TemplateProcessing"}, {"single", single}, {"pair", pair}, {"special_tokens", special_tokens}};
}

void append_vocabulary(const Vocabulary& vocabulary, std::string& text) {
  text += "{";
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id)
    text += fmt::format("{}\n      {}: {}", id == 0 ? "" : ",", quoted(vocabulary.tokens[id]), id);
  text += "\n    }";
}

void append_merges(const Merges& merges, std::string& text) {
  text += "[";
  for (std::size_t i = 0; i < merges.size(); ++i)
    text += fmt::format("{}\n      [{}, {}]", i == 0 ? "" : ",", quoted(merges[i].first),
                        quoted(merges[i].second));
  text += "\n    ]";
}

std::string model_json(const Vocabulary& vocabulary, const Merges& merges, bool ignore_merges) {
  const bool pieces = vocabulary.model == Vocabulary::Model::sentencepiece;
  ordered_json unknown = nullptr;
  if (pieces && vocabulary.unknown_id)
    unknown = vocabulary.tokens[static_cast<std::size_t>(*vocabulary.unknown_id)];
  std::string text = fmt::format(
      R"({{
    "type": "BPE",
    "dropout": null,
    "unk_token": {},
    "continuing_subword_prefix": null,
    "end_of_word_suffix": null,
    "fuse_unk": {},
    "byte_fallback": {},
    "ignore_merges": {},
    "vocab": )",
      unknown.dump(), pieces, pieces, ignore_merges);
  append_vocabulary(vocabulary, text);
  text += ",\n    \"merges\": ";
  append_merges(merges, text);
  return text + "\n  }";
}

struct Pipeline {
  ordered_json normalizer;
  ordered_json pre_tokenizer;
  ordered_json decoder;
  std::string model;
};

Pipeline make_pipeline(const Vocabulary& vocabulary, const std::string& origin) {
  if (vocabulary.model == Vocabulary::Model::sentencepiece)
    return {sentencepiece_normalizer(vocabulary), nullptr, sentencepiece_decoder(vocabulary),
            model_json(vocabulary, sentencepiece_merges(vocabulary), false)};
  const PreTokenizer row = get_pre_tokenizer(vocabulary.pre, origin);
  return {nullptr, pre_tokenizer(row), byte_level(true),
          model_json(vocabulary, byte_level_merges(vocabulary, origin), row.ignore_merges)};
}

}  // namespace

std::string tokenizer_json(const Vocabulary& vocabulary, const std::string& origin) {
  const Pipeline pipeline = make_pipeline(vocabulary, origin);
  std::string text = "{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n  \"padding\": null";
  const auto add = [&text](const char* field, const std::string& value) {
    text += fmt::format(",\n  \"{}\": {}", field, value);
  };
  add("added_tokens", added_tokens(vocabulary).dump());
  add("normalizer", pipeline.normalizer.dump());
  add("pre_tokenizer", pipeline.pre_tokenizer.dump());
  add("post_processor", post_processor(vocabulary).dump());
  add("decoder", pipeline.decoder.dump());
  add("model", pipeline.model);
  return text + "\n}\n";
}

}  // namespace lmdeploy::convert
