// lmdeploy chat: a model in this process, talked to in this terminal.
#include <memory>
#include <random>

#include "base/error.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/compatibility.h"
#include "cli/loaded_model.h"
#include "cli/sampling_options.h"
#include "cli/say.h"
#include "cli/talk.h"
#include "server/generation.h"

namespace lmdeploy::cli {
namespace {

struct Options {
  ModelOptions model;
  EngineFlags engine;
  ChatOptions chat;
  SamplingOptions sampling;
  TalkOptions talk;
  std::string meta_instruction;
};

// What LMDeploy's chat command took where nobody said anything (0.5.3); a model that says how it wants to be
// sampled is believed.
constexpr float kChatTemperature = 0.8F;
constexpr float kChatTopP = 0.8F;
constexpr std::int32_t kChatTopK = 40;

SamplingParams chat_sampling(SamplingParams sampling, const GenerationConfig& generation) {
  if (!generation.temperature && generation.do_sample != false) sampling.temperature = kChatTemperature;
  if (!generation.top_p) sampling.top_p = kChatTopP;
  if (!generation.top_k) sampling.top_k = kChatTopK;
  return sampling;
}

GenerationParams generation_params(const SamplingParams& defaults, const SamplingOptions& options) {
  GenerationParams params;
  params.sampling = defaults;
  SamplingParams& sampling = params.sampling;
  if (options.temperature) sampling.temperature = static_cast<float>(*options.temperature);
  if (options.top_p) sampling.top_p = static_cast<float>(*options.top_p);
  if (options.min_p) sampling.min_p = static_cast<float>(*options.min_p);
  if (options.repetition_penalty)
    sampling.repetition_penalty = static_cast<float>(*options.repetition_penalty);
  if (options.top_k) sampling.top_k = *options.top_k;
  sampling.seed = options.seed.value_or(std::random_device{}());
  params.max_new_tokens = options.max_new_tokens;
  return params;
}

class LocalBackend : public ReplBackend {
 public:
  LocalBackend(const ServedModel& model, GenerationParams params)
      : model_(model), params_(std::move(params)) {}

  ReplAnswer answer(const nlohmann::ordered_json& messages,
                    const std::function<void(std::string_view)>& on_text,
                    const std::function<bool()>& should_stop) override {
    ReplAnswer answer;
    try {
      ChatInput input;
      input.messages = messages;
      const RenderedPrompt prompt = model_.chat_template->render(input);
      const auto result =
          generate(model_, model_.tokenizer.encode(prompt), params_, [&](const TextDelta& delta) {
            answer.text += delta.text;
            if (!delta.text.empty()) on_text(delta.text);
            return !should_stop();
          });
      finish(result, answer);
    } catch (const Error& error) {
      answer.end = ReplAnswer::End::refused;
      answer.problem = error.what();
    }
    ++params_.sampling.seed;
    return answer;
  }

 private:
  static void finish(const std::variant<TextDelta, Rejected>& result, ReplAnswer& answer) {
    if (const auto* rejected = std::get_if<Rejected>(&result)) {
      answer.end = ReplAnswer::End::refused;
      answer.problem = rejected->message;
      if (rejected->reason == Rejected::Reason::too_long)
        answer.problem += "; `end` forgets the conversation, --session-len allows a longer one";
      return;
    }
    const auto& last = std::get<TextDelta>(result);
    answer.tokens = {last.num_generated_tokens, last.num_prompt_tokens, last.timings.num_cached_tokens};
    if (last.finish_reason == FinishReason::length) answer.end = ReplAnswer::End::length;
    if (last.finish_reason == FinishReason::abort) answer.end = ReplAnswer::End::stopped;
    if (last.finish_reason == FinishReason::error) {
      answer.end = ReplAnswer::End::refused;
      answer.problem = last.error;
    }
  }

  const ServedModel& model_;
  GenerationParams params_;
};

int chat(const Options& options) {
  init_log(options.model.log_level);
  const LoadedModel loaded = load_served_model(options.model, options.engine, options.chat);
  const ServedModel served = loaded.served({loaded.source.name});
  if (served.chat_template == nullptr)
    throw Error(fmt::format("{} has no chat template: it was not made for chats", loaded.source.name),
                "Give one with --chat-template FILE (Jinja), or complete text through lmdeploy serve "
                "api_server and /v1/completions.");
  say(loaded.summary);
  LocalBackend backend(
      served, generation_params(chat_sampling(served.sampling, loaded.generation), options.sampling));
  talk(backend, options.talk, options.meta_instruction);
  return 0;
}

}  // namespace

Action setup_chat(CLI::App& app) {
  auto options = std::make_shared<Options>();
  options->engine.max_batch_size = 1;
  add_model_options(app, options->model);
  add_chat_options(app, options->chat);
  app.add_option("--meta-instruction", options->meta_instruction, "System message of the chat")
      ->option_text("TEXT")
      ->group("Model");
  add_talk_options(app, options->talk);
  add_sampling_options(app, options->sampling,
                       "Sampling (default: the model's generation_config.json, then temperature 0.8, top_p "
                       "0.8, top_k 40)");
  add_engine_options(app, options->engine);
  add_accepted_options(app, kAcceptedByChat);
  return [options] { return chat(*options); };
}

}  // namespace lmdeploy::cli
