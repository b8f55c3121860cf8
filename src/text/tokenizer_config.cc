#include "text/tokenizer_config.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "base/mapped_file.h"

namespace lmdeploy {

namespace {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

bool is_named_token(const std::string& key) {
  static constexpr std::string_view suffix = "_token";
  return key.size() > suffix.size() && key.ends_with(suffix) && !key.starts_with("add_");
}

// A token is written as its text or as {"content": its text, ...}; null means that there is none.
std::optional<std::string> token_text(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_object() && value.contains("content") && value["content"].is_string())
    return value["content"].get<std::string>();
  return std::nullopt;
}

bool flag(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_boolean() && found->get<bool>();
}

std::optional<bool> optional_flag(const Json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_boolean()) return std::nullopt;
  return found->get<bool>();
}

TokenId parse_id(const std::string& digits, const fs::path& path) {
  TokenId id = -1;
  const auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), id);
  if (problem != std::errc() || end != digits.data() + digits.size() || id < 0)
    throw Error(fmt::format("{}: \"{}\" in added_tokens_decoder is not a token id", path.string(), digits),
                "Get the file again from where the model came from.");
  return id;
}

void read_special_tokens(const Json& object, TokenizerConfig& config) {
  for (const auto& [key, value] : object.items()) {
    const auto text = token_text(value);
    if (is_named_token(key) && text && config.special_token(key).empty())
      config.special_tokens.emplace_back(key, *text);
  }
}

void read_added_tokens(const Json& decoder, const fs::path& path, TokenizerConfig& config) {
  for (const auto& [digits, value] : decoder.items()) {
    const auto text = token_text(value);
    if (!text || text->empty()) continue;
    config.added_tokens.push_back({.content = *text,
                                   .id = parse_id(digits, path),
                                   .special = flag(value, "special"),
                                   .lstrip = flag(value, "lstrip"),
                                   .rstrip = flag(value, "rstrip"),
                                   .single_word = flag(value, "single_word"),
                                   .normalized = flag(value, "normalized")});
  }
}

// added_tokens.json, the older form: {text: id}. A token that is also a named one is special.
void read_plain_added_tokens(const Json& ids, TokenizerConfig& config) {
  for (const auto& [text, id] : ids.items()) {
    const bool known = std::ranges::any_of(config.added_tokens,
                                           [&](const AddedToken& token) { return token.content == text; });
    if (known || text.empty() || !id.is_number_unsigned() || id.get<std::uint64_t>() > INT32_MAX) continue;
    const bool special =
        std::ranges::any_of(config.special_tokens, [&](const auto& named) { return named.second == text; });
    config.added_tokens.push_back({.content = text, .id = id.get<TokenId>(), .special = special});
  }
}

}  // namespace

std::string read_text(const fs::path& path) {
  return std::string(MappedFile(path).text());
}

nlohmann::ordered_json read_json_object(const fs::path& path) {
  if (!fs::exists(path)) return nullptr;
  auto json = Json::parse(read_text(path), nullptr, /*allow_exceptions=*/false);
  if (!json.is_object())
    throw Error(fmt::format("{} is not a JSON object", path.string()),
                "Get the file again from where the model came from.");
  return json;
}

std::string TokenizerConfig::special_token(const std::string& name) const {
  const auto found = std::ranges::find(special_tokens, name, &std::pair<std::string, std::string>::first);
  return found == special_tokens.end() ? "" : found->second;
}

TokenizerConfig TokenizerConfig::load(const fs::path& folder) {
  TokenizerConfig config;
  const fs::path path = folder / "tokenizer_config.json";
  const Json main = read_json_object(path);
  if (!main.is_null()) {
    read_special_tokens(main, config);
    config.add_bos_token = optional_flag(main, "add_bos_token");
    config.add_eos_token = optional_flag(main, "add_eos_token");
    if (main.contains("chat_template")) config.chat_template = main["chat_template"];
    if (main.contains("added_tokens_decoder")) read_added_tokens(main["added_tokens_decoder"], path, config);
  }
  const Json map = read_json_object(folder / "special_tokens_map.json");
  if (!map.is_null()) read_special_tokens(map, config);
  const Json added = read_json_object(folder / "added_tokens.json");
  if (!added.is_null()) read_plain_added_tokens(added, config);
  std::ranges::sort(config.added_tokens, {}, &AddedToken::id);
  return config;
}

}  // namespace lmdeploy
