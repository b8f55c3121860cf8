#include "convert/tokenizer_config.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace lmdeploy::convert {
namespace {

using nlohmann::ordered_json;

const std::string kTemplate = "tokenizer.chat_template";

// A string, or the list of named templates that transformers reads, or null.
ordered_json chat_template(const GgufMetadata& metadata) {
  const std::optional<std::string> unnamed = metadata.find_string(kTemplate);
  const std::vector<std::string>* names = metadata.find_strings("tokenizer.chat_templates");
  if (names == nullptr || names->empty()) return unnamed ? ordered_json(*unnamed) : ordered_json(nullptr);
  ordered_json list = ordered_json::array();
  if (unnamed) list.push_back({{"name", "default"}, {"template", *unnamed}});
  for (const std::string& name : *names)
    list.push_back({{"name", name}, {"template", metadata.get_string(kTemplate + "." + name)}});
  return list;
}

}  // namespace

std::string tokenizer_config_json(const GgufMetadata& metadata, const Vocabulary& vocabulary,
                                  std::int64_t max_len) {
  // PreTrainedTokenizerFast takes tokenizer.json as it is; named classes bring rules of their own.
  ordered_json object = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                         {"add_bos_token", vocabulary.add_bos},
                         {"add_eos_token", vocabulary.add_eos},
                         {"clean_up_tokenization_spaces", false},
                         {"model_max_length", max_len}};
  const auto add = [&](const char* field, const std::optional<std::int32_t>& id) {
    if (id) object[field] = vocabulary.tokens[static_cast<std::size_t>(*id)];
  };
  add("bos_token", vocabulary.bos_id);
  add("eos_token", vocabulary.eos_id);
  add("unk_token", vocabulary.unknown_id);
  add("pad_token", vocabulary.padding_id);
  const ordered_json chat = chat_template(metadata);
  if (!chat.is_null()) object["chat_template"] = chat;
  return object.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

void set_special_ids(const Vocabulary& vocabulary, HfConfig& config) {
  config.bos_token_id = vocabulary.bos_id;
  config.pad_token_id = vocabulary.padding_id;
  for (const auto& id : {vocabulary.eos_id, vocabulary.eot_id, vocabulary.eom_id}) {
    std::vector<std::int32_t>& list = config.eos_token_id;
    if (id && std::find(list.begin(), list.end(), *id) == list.end()) list.push_back(*id);
  }
}

std::string generation_config_json(const HfConfig& config) {
  ordered_json object = ordered_json::object();
  if (config.bos_token_id) object["bos_token_id"] = *config.bos_token_id;
  if (config.eos_token_id.size() == 1) object["eos_token_id"] = config.eos_token_id.front();
  if (config.eos_token_id.size() > 1) object["eos_token_id"] = config.eos_token_id;
  if (config.pad_token_id) object["pad_token_id"] = *config.pad_token_id;
  return object.dump(2) + "\n";
}

}  // namespace lmdeploy::convert
