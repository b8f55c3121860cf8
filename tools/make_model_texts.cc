#include "make_model_texts.h"

#include <array>
#include <cstdint>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/error.h"

namespace lmdeploy::make_model {
namespace {

using Json = nlohmann::json;

constexpr std::array<const char*, 3> kFirstSpecials{"<unk>", "<s>", "</s>"};
constexpr std::array<const char*, 6> kLastSpecials{"<|plugin|>",       "<|interpreter|>", "<|action_end|>",
                                                   "<|action_start|>", "<|im_end|>",      "<|im_start|>"};

constexpr const char* kChatTemplate =
    "{{ bos_token }}{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + "
    "message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|im_start|>assistant\\n' }}{% endif %}";

void write_json(const std::filesystem::path& path, const Json& json) {
  std::ofstream file(path);
  file << json.dump(1) << '\n';
  if (!file.flush()) throw Error(fmt::format("cannot write {}", path.string()));
}

std::string utf8(std::uint32_t code) {  // below U+0800
  if (code < 0x80) return {static_cast<char>(code)};
  return {static_cast<char>(0xc0 | (code >> 6)), static_cast<char>(0x80 | (code & 0x3f))};
}

// The visible characters by which byte-level BPE spells the 256 bytes (Radford et al. 2019, GPT-2's code).
std::vector<std::string> byte_characters() {
  std::vector<std::string> result;
  std::uint32_t next_code = 256;
  for (std::uint32_t byte = 0; byte < 256; byte++) {
    const bool visible = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    result.push_back(utf8(visible ? byte : next_code++));
  }
  return result;
}

// Grows a BPE vocabulary: pairs of letters, then pairs of those.
class BpeVocabulary {
 public:
  explicit BpeVocabulary(std::int64_t max_size) : max_size_(max_size) {
    for (const char* token : kFirstSpecials) add(token);
    for (const std::string& character : byte_characters()) add(character);
    std::vector<std::string> letters;
    for (char letter = 'a'; letter <= 'z'; letter++) letters.emplace_back(1, letter);
    std::vector<std::string> starts = letters;
    starts.push_back(byte_characters()[' ']);
    const auto inner_pairs = merge_all(letters, letters);
    merge_all(merge_all({starts.back()}, letters), inner_pairs);
    merge_all(inner_pairs, inner_pairs);
    CHECK(std::ssize(vocab_) == max_size_, "{} of {} ids", vocab_.size(), max_size_);
    max_size_ += kLastSpecials.size();
    for (const char* token : kLastSpecials) add(token);
  }

  const Json& vocab() const { return vocab_; }
  const Json& merges() const { return merges_; }

 private:
  bool add(const std::string& token) {
    if (std::ssize(vocab_) == max_size_) return false;
    vocab_[token] = vocab_.size();
    return true;
  }
  std::vector<std::string> merge_all(const std::vector<std::string>& left,
                                     const std::vector<std::string>& right) {
    std::vector<std::string> merged;
    for (const std::string& r : right)
      for (const std::string& l : left) {
        if (!add(l + r)) return merged;
        merges_.push_back(l + " " + r);
        merged.push_back(l + r);
      }
    return merged;
  }

  std::int64_t max_size_;
  Json vocab_ = Json::object();
  Json merges_ = Json::array();
};

Json added_token(const char* content) {
  return {{"content", content}, {"lstrip", false},      {"normalized", false},
          {"rstrip", false},    {"single_word", false}, {"special", true}};
}

// Every special token with its id.
std::vector<std::pair<std::int64_t, Json>> added_tokens(std::int64_t vocab_size) {
  std::vector<std::pair<std::int64_t, Json>> result;
  for (std::size_t i = 0; i < kFirstSpecials.size(); i++)
    result.emplace_back(i, added_token(kFirstSpecials[i]));
  for (std::size_t i = 0; i < kLastSpecials.size(); i++)
    result.emplace_back(vocab_size - std::ssize(kLastSpecials) + static_cast<std::int64_t>(i),
                        added_token(kLastSpecials[i]));
  return result;
}

void write_tokenizer(std::int64_t vocab_size, const std::filesystem::path& path) {
  const BpeVocabulary bpe(vocab_size - std::ssize(kLastSpecials));
  Json added = Json::array();
  for (const auto& [id, token] : added_tokens(vocab_size)) {
    Json entry{{"id", id}};
    entry.update(token);
    added.push_back(entry);
  }
  const Json byte_level{
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", true}};
  const Json bos{{"SpecialToken", {{"id", "<s>"}, {"type_id", 0}}}};
  const Json text{{"Sequence", {{"id", "A"}, {"type_id", 0}}}},
      second{{"Sequence", {{"id", "B"}, {"type_id", 1}}}};
  write_json(path, {{"version", "1.0"},
                    {"truncation", nullptr},
                    {"padding", nullptr},
                    {"added_tokens", added},
                    {"normalizer", nullptr},
                    {"pre_tokenizer", byte_level},
                    {"post_processor",
                     {{"type", "TemplateProcessing"},
                      {"single", Json::array({bos, text})},
                      {"pair", Json::array({bos, text, second})},
                      {"special_tokens", {{"<s>", {{"id", "<s>"}, {"ids", {1}}, {"tokens", {"<s>"}}}}}}}},
                    {"decoder", byte_level},
                    {"model",
                     {{"type", "BPE"},
                      {"dropout", nullptr},
                      {"unk_token", nullptr},
                      {"continuing_subword_prefix", nullptr},
                      {"end_of_word_suffix", nullptr},
                      {"fuse_unk", false},
                      {"byte_fallback", false},
                      {"vocab", bpe.vocab()},
                      {"merges", bpe.merges()}}}});
}

void write_tokenizer_config(std::int64_t vocab_size, const std::filesystem::path& path) {
  Json decoder = Json::object();
  for (const auto& [id, token] : added_tokens(vocab_size)) decoder[std::to_string(id)] = token;
  write_json(path, {{"add_bos_token", true},
                    {"added_tokens_decoder", decoder},
                    {"additional_special_tokens", kLastSpecials},
                    {"bos_token", "<s>"},
                    {"chat_template", kChatTemplate},
                    {"clean_up_tokenization_spaces", false},
                    {"eos_token", "</s>"},
                    {"model_max_length", 32768},
                    {"pad_token", "</s>"},
                    {"tokenizer_class", "PreTrainedTokenizerFast"},
                    {"unk_token", "<unk>"}});
}

Json config(const ModelShape& shape, const Form& form) {
  Json result{{"architectures", {form.layout == Layout::llama ? "LlamaForCausalLM" : "InternLM2ForCausalLM"}},
              {"bos_token_id", 1},
              {"eos_token_id", 2},
              {"hidden_act", "silu"},
              {"hidden_size", shape.hidden_size},
              {"initializer_range", 0.02},
              {"intermediate_size", shape.intermediate_size},
              {"max_position_embeddings", 32768},
              {"model_type", form.layout == Layout::llama ? "llama" : "internlm2"},
              {"num_attention_heads", shape.num_attention_heads},
              {"num_hidden_layers", shape.num_hidden_layers},
              {"num_key_value_heads", shape.num_key_value_heads},
              {"pad_token_id", 2},
              {"rms_norm_eps", 1e-5},
              {"rope_theta", 1000000},
              {"tie_word_embeddings", false},
              {"torch_dtype", "bfloat16"},
              {"use_cache", true},
              {"vocab_size", shape.vocab_size}};
  if (form.storage == Storage::awq)
    result["quantization_config"] = {{"quant_method", "awq"},
                                     {"version", "gemm"},
                                     {"bits", 4},
                                     {"group_size", shape.group_size()},
                                     {"zero_point", true}};
  if (form.storage == Storage::fp8)
    result["quantization_config"] = {{"quant_method", "fp8"},
                                     {"activation_scheme", "dynamic"},
                                     {"fmt", "e4m3"},
                                     {"weight_block_size", {kFp8Block, kFp8Block}}};
  if (form.layout == Layout::internlm2) {
    result["bias"] = false;
    result["rope_scaling"] = {{"type", "dynamic"}, {"factor", 2.0}};  // nothing within 32768 tokens
  }
  return result;
}

}  // namespace

void write_config(const ModelShape& shape, const Form& form, const std::filesystem::path& folder) {
  write_json(folder / "config.json", config(shape, form));
}

void write_texts(const ModelShape& shape, const Form& form, const std::filesystem::path& folder) {
  write_config(shape, form, folder);
  write_json(folder / "generation_config.json",
             {{"bos_token_id", 1}, {"eos_token_id", {2, shape.vocab_size - 2}}, {"pad_token_id", 2}});
  write_tokenizer(shape.vocab_size, folder / "tokenizer.json");
  write_tokenizer_config(shape.vocab_size, folder / "tokenizer_config.json");
}

}  // namespace lmdeploy::make_model
