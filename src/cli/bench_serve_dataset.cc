#include "cli/bench_serve_dataset.h"

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>

#include "base/error.h"

namespace lmdeploy::cli {
namespace {

using Json = nlohmann::json;

std::ifstream open_file(const std::filesystem::path& path) {
  std::ifstream file(path);
  if (!file || std::filesystem::is_directory(path))
    throw Error(fmt::format("cannot read {}", path.string()), "Give the file with --dataset-path.");
  return file;
}

// vLLM's bounds, so that figures compare.
bool is_in_bounds(std::int64_t prompt_len, std::int64_t answer_len, bool fixed_output) {
  constexpr std::int64_t kMinLen = 4, kMaxPromptLen = 1024, kMaxTotalLen = 2048;
  if (prompt_len < kMinLen || (!fixed_output && answer_len < kMinLen)) return false;
  return prompt_len <= kMaxPromptLen && prompt_len + answer_len <= kMaxTotalLen;
}

std::optional<std::string> turn(const Json& conversation, std::size_t turn_idx) {
  if (!conversation.is_object()) return std::nullopt;
  const auto turns = conversation.find("conversations");
  if (turns == conversation.end() || !turns->is_array() || turns->size() < 2) return std::nullopt;
  const Json& turn = (*turns)[turn_idx];
  if (!turn.is_object() || !turn.contains("value") || !turn["value"].is_string()) return std::nullopt;
  return turn["value"].get<std::string>();
}

// A file with too few prompts is used again from its beginning.
std::vector<BenchPrompt> repeat_to(std::vector<BenchPrompt> prompts, std::size_t num_prompts) {
  const std::size_t num_own = prompts.size();
  prompts.reserve(num_prompts);
  for (std::size_t i = 0; prompts.size() < num_prompts; ++i) prompts.push_back(prompts[i % num_own]);
  prompts.resize(num_prompts);
  return prompts;
}

BenchPrompt custom_prompt(const std::string& line, const Tokenizer* tokenizer, std::int64_t output_len) {
  const Json json = Json::parse(line, nullptr, false);
  if (!json.is_object() || !json.contains("prompt") || !json["prompt"].is_string())
    throw Error("expected a JSON object with a string \"prompt\"");
  BenchPrompt prompt;
  prompt.text = json["prompt"].get<std::string>();
  prompt.output_len = output_len;
  if (tokenizer != nullptr) prompt.prompt_len = std::ssize(tokenizer->encode(prompt.text, true));
  if (output_len >= 0) return prompt;
  if (!json.contains("output_tokens") || !json["output_tokens"].is_number_integer() ||
      json["output_tokens"].get<std::int64_t>() < 1)
    throw Error("expected a count in \"output_tokens\", since --custom-output-len is -1");
  prompt.output_len = json["output_tokens"].get<std::int64_t>();
  return prompt;
}

}  // namespace

std::vector<BenchPrompt> read_sharegpt(const Tokenizer& tokenizer, const FilePrompts& file,
                                       std::size_t num_prompts, std::uint64_t seed) {
  std::ifstream stream = open_file(file.path);
  Json conversations = Json::parse(stream, nullptr, false);
  if (!conversations.is_array())
    throw Error(fmt::format("{} is no JSON list of conversations", file.path.string()),
                "ShareGPT's form is [{\"conversations\": [{\"from\": .., \"value\": ..}, ..]}, ..].");
  std::shuffle(conversations.begin(), conversations.end(), std::mt19937_64(seed));
  std::vector<BenchPrompt> prompts;
  for (const Json& conversation : conversations) {
    if (prompts.size() == num_prompts) break;
    const auto question = turn(conversation, 0);
    const auto answer = turn(conversation, 1);
    if (!question || !answer) continue;
    BenchPrompt prompt{*question, std::ssize(tokenizer.encode(*question, true)), file.output_len};
    const bool fixed_output = file.output_len >= 0;
    if (!fixed_output) prompt.output_len = std::ssize(tokenizer.encode(*answer, false));
    if (is_in_bounds(prompt.prompt_len, prompt.output_len, fixed_output))
      prompts.push_back(std::move(prompt));
  }
  if (prompts.empty())
    throw Error(fmt::format("{} has no conversation of 4 to 2048 tokens", file.path.string()),
                "Check that it is ShareGPT's form, with two turns or more.");
  return repeat_to(std::move(prompts), num_prompts);
}

std::vector<BenchPrompt> read_custom(const Tokenizer* tokenizer, const FilePrompts& file,
                                     std::size_t num_prompts) {
  std::ifstream stream = open_file(file.path);
  std::vector<BenchPrompt> prompts;
  std::size_t line_idx = 0;
  for (std::string line; prompts.size() < num_prompts && std::getline(stream, line);) {
    ++line_idx;
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    try {
      prompts.push_back(custom_prompt(line, tokenizer, file.output_len));
    } catch (const Error& error) {
      throw Error(fmt::format("{}:{}: {}", file.path.string(), line_idx, error.problem()),
                  "A line is {\"prompt\": \"..\"} or {\"prompt\": \"..\", \"output_tokens\": 128}.");
    }
  }
  if (prompts.empty()) throw Error(fmt::format("{} has no prompt", file.path.string()));
  return repeat_to(std::move(prompts), num_prompts);
}

}  // namespace lmdeploy::cli
