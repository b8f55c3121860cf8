#pragma once
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace lmdeploy {

// What a template may read, in the order and spelling in which the client sent it.
struct ChatInput {
  nlohmann::ordered_json messages = nlohmann::ordered_json::array();  // [{"role", "content", ...}]
  nlohmann::ordered_json tools = nullptr;                             // array or null
  nlohmann::ordered_json template_kwargs = nlohmann::ordered_json::object();
  bool add_generation_prompt = true;
  bool continue_final_message = false;  // the prompt ends with the last message's text, for more of it
};

// A model's own Jinja chat template, rendered as Hugging Face transformers renders it (apply_chat_template),
// with its steps, depth and output capped.
class ChatTemplate {
 public:
  // From chat_template.jinja or tokenizer_config.json ("chat_template": a string, or a list of named ones:
  // `default`, and `tool_use` when tools are given). Null where the folder has none. `tokenizer` says which
  // texts are special tokens; it is not kept.
  static std::unique_ptr<ChatTemplate> load(const std::filesystem::path& folder, const Tokenizer& tokenizer);
  // From a Jinja source; bos and eos are the strings that the template may print. special_tokens: texts that
  // become tokens only where the template itself writes them (bos and eos are always among them).
  static std::unique_ptr<ChatTemplate> from_source(const std::string& source, const std::string& bos_token,
                                                   const std::string& eos_token,
                                                   const std::vector<std::string>& special_tokens = {});
  ~ChatTemplate();

  // Throws Error with the template's own words where it calls raise_exception, and where a cap is reached.
  RenderedPrompt render(const ChatInput& input) const;

  bool mentions(std::string_view text) const;  // in its source
  bool reads_tools() const;                    // what it renders depends on them

 private:
  struct Impl;
  explicit ChatTemplate(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace lmdeploy
