#include "cli/loaded_model.h"

#include <algorithm>
#include <ctime>
#include <future>

#include "base/error.h"
#include "cli/engine_loader.h"
#include "cli/usage_error.h"
#include "text/tokenizer_config.h"

namespace lmdeploy::cli {
namespace {

namespace fs = std::filesystem;

std::string token_text(const Tokenizer& tokenizer, std::optional<TokenId> id) {
  return id ? tokenizer.id_to_token(*id) : std::string{};
}

std::vector<std::string> special_tokens(const Tokenizer& tokenizer) {
  std::vector<std::string> texts;
  for (TokenId id = 0; id < tokenizer.vocab_size(); ++id)
    if (tokenizer.is_special(id)) texts.push_back(tokenizer.id_to_token(id));
  return texts;
}

// The model's own template, or --chat-template: a file of Jinja text, or that text itself.
std::unique_ptr<ChatTemplate> load_template(const fs::path& folder, const std::string& wanted,
                                            const Tokenizer& tokenizer) {
  if (wanted.empty()) return ChatTemplate::load(folder, tokenizer);
  const bool is_source = wanted.find("{{") != std::string::npos || wanted.find("{%") != std::string::npos;
  if (!is_source && !fs::is_regular_file(wanted))
    throw UsageError(fmt::format("--chat-template {}: there is no such file", wanted),
                     "Give a file of Jinja text. LMDeploy's built-in template names are not built: a model's "
                     "own template is used when the option is left out.");
  if (fs::path(wanted).extension() == ".json")
    throw UsageError("--chat-template with LMDeploy's JSON form is not built yet",
                     "Give the template as Jinja text in a file.");
  return ChatTemplate::from_source(is_source ? wanted : read_text(wanted),
                                   token_text(tokenizer, tokenizer.bos_id()),
                                   token_text(tokenizer, tokenizer.eos_id()), special_tokens(tokenizer));
}

struct Text {
  std::unique_ptr<Tokenizer> tokenizer;
  std::unique_ptr<ChatTemplate> chat_template;
  Dialect dialect;
};

Text load_text(const fs::path& folder, const ChatOptions& chat) {
  Text text;
  text.tokenizer = Tokenizer::load(folder);
  text.chat_template = load_template(folder, chat.chat_template, *text.tokenizer);
  text.dialect = find_dialect(text.chat_template.get(), *text.tokenizer, chat.dialect);
  return text;
}

// Sampling defaults as --generation-config says; stop tokens are always the model's own.
GenerationConfig load_generation(const fs::path& folder, const std::string& wanted) {
  const GenerationConfig own = load_generation_config(folder);
  if (wanted == "auto") return own;
  GenerationConfig chosen;
  if (wanted != "lmdeploy") {
    if (!fs::exists(fs::path(wanted) / "generation_config.json"))
      throw UsageError(fmt::format("--generation-config {}: no generation_config.json there", wanted),
                       "Give auto, lmdeploy, or a folder that holds generation_config.json.");
    chosen = load_generation_config(wanted);
  }
  chosen.eos_token_id = own.eos_token_id;
  return chosen;
}

std::vector<TokenId> eos_ids(const LoadedModel& loaded) {
  std::vector<TokenId> ids = loaded.generation.eos_token_id;
  ids.insert(ids.end(), loaded.config.eos_token_id.begin(), loaded.config.eos_token_id.end());
  if (const auto eos = loaded.tokenizer->eos_id()) ids.push_back(*eos);
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}

SamplingParams default_sampling(const GenerationConfig& generation) {
  SamplingParams sampling;
  sampling.temperature = static_cast<float>(generation.temperature.value_or(1));
  if (generation.do_sample == false) sampling.temperature = 0;
  sampling.top_k = generation.top_k.value_or(0);
  sampling.top_p = static_cast<float>(generation.top_p.value_or(1));
  sampling.min_p = static_cast<float>(generation.min_p.value_or(0));
  sampling.typical_p = static_cast<float>(generation.typical_p.value_or(1));
  sampling.repetition_penalty = static_cast<float>(generation.repetition_penalty.value_or(1));
  return sampling;
}

}  // namespace

LoadedModel load_served_model(const ModelOptions& model, const EngineFlags& engine, const ChatOptions& chat,
                              const std::function<void(const MemoryEstimate&)>& on_plan) {
  LoadedModel loaded;
  loaded.source = find_model(model);
  loaded.config = load_hf_config(loaded.source.folder);
  const MemoryEstimate estimate = estimate_memory(loaded.source, loaded.config, model.dtype, engine);
  if (on_plan) on_plan(estimate);
  Text text;
  std::future<void> reading =
      std::async(std::launch::async, [&] { text = load_text(loaded.source.folder, chat); });
  const auto tokenizer = [&]() -> const Tokenizer& {
    if (reading.valid()) reading.get();
    return *text.tokenizer;
  };
  loaded.generation = load_generation(loaded.source.folder, chat.generation_config);
  LoadedEngine computing =
      load_engine(loaded.source, loaded.config, model.dtype, engine, estimate.plan, tokenizer);
  loaded.engine = std::move(computing.engine);
  loaded.summary = std::move(computing.summary);
  tokenizer();  // it has been read
  loaded.tokenizer = std::move(text.tokenizer);
  loaded.chat_template = std::move(text.chat_template);
  loaded.dialect = std::move(text.dialect);
  return loaded;
}

ServedModel LoadedModel::served(std::vector<std::string> names) const {
  ServedModel served{std::move(names),    *engine,        *tokenizer,
                     chat_template.get(), eos_ids(*this), default_sampling(generation),
                     std::time(nullptr)};
  served.dialect = dialect;
  return served;
}

}  // namespace lmdeploy::cli
