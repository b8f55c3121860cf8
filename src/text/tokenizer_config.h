#pragma once
// What tokenizer_config.json and its companions say. Private to text/.
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "text/tokenizer.h"

namespace lmdeploy {

// A token that is sought in the text before the model's own vocabulary comes into play.
struct AddedToken {
  std::string content;
  std::optional<TokenId> id;  // none: the vocabulary knows
  bool special = false;       // left out of decoded text on request; never made of what a user typed
  bool lstrip = false;        // swallows the white space before it
  bool rstrip = false;        // and after it
  bool single_word = false;   // only between things that are not letters or digits
  bool normalized = false;
};

struct TokenizerConfig {
  std::vector<std::pair<std::string, std::string>>
      special_tokens;                    // "bos_token" -> "<s>", in the file's order
  std::vector<AddedToken> added_tokens;  // with an id, ascending
  std::optional<bool> add_bos_token;
  std::optional<bool> add_eos_token;
  nlohmann::ordered_json chat_template;  // a string, a list of {"name", "template"}, or null

  // From tokenizer_config.json, special_tokens_map.json and added_tokens.json, each of which may be missing.
  // Throws Error where one is not JSON or has a field of the wrong type.
  static TokenizerConfig load(const std::filesystem::path& folder);

  // "" where the model has no such token.
  std::string special_token(const std::string& name) const;
};

// The file's JSON object, or null where there is no such file. Throws Error where it is not a JSON object.
nlohmann::ordered_json read_json_object(const std::filesystem::path& path);
std::string read_text(const std::filesystem::path& path);  // throws Error where it cannot be read

}  // namespace lmdeploy
