// The bodies of Anthropic's Messages API.
#include "server/anthropic.h"
#include "server/openapi_bodies.h"

namespace lmdeploy {
namespace {

constexpr std::string_view kMessages = R"({
  "type": "array", "minItems": 1,
  "items": {
    "type": "object", "required": ["role", "content"],
    "properties": {
      "role": {"enum": ["user", "assistant", "system"]},
      "content": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "object"}}]}}}})";
constexpr std::string_view kTextOrBlocks =
    R"({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "object"}}]})";

std::vector<FieldText> with_input_texts(std::vector<FieldText> texts) {
  texts.insert(
      texts.begin(),
      {
          {"messages",
           "The conversation. Where it ends with an assistant's turn the answer goes on with it.",
           {},
           kMessages},
          {"system", "What the model is told before the conversation.", {}, kTextOrBlocks},
          {"tools", "Functions that the model may call, as {name, description, input_schema}.", "[]",
           R"({"type": "array", "items": {"type": "object", "required": ["name", "input_schema"]}})"},
          {"tool_choice", "{\"type\": \"auto\", \"any\", \"none\", or \"tool\" with its name}.",
           R"({"type": "auto"})"},
          {"thinking", "Whether the model thinks first: the template's variable enable_thinking."},
          {"thinking.type", "enabled, adaptive or disabled."},
          {"output_config", "The form of the answer."},
          {"output_config.format", "JSON of a schema: {\"type\": \"json_schema\", \"schema\": {...}}."},
          {"cache_control", "No effect: prefixes that were computed before are found without."},
      });
  return texts;
}

BodyDocs messages_docs() {
  return {.path = "/v1/messages",
          .name = "MessagesRequest",
          .produces = kEventStream,
          .examples = {R"({"model": "m", "max_tokens": 64,
                   "messages": [{"role": "user", "content": "What is the capital of France?"}]})",
                       R"({"model": "m", "max_tokens": 64, "messages": [{"role": "user", "content": "x"}],
                   "thinking": {"type": "adaptive"}, "metadata": {}, "output_config": {}})"},
          .answer = R"({"id": "msg_0123456789abcdef01234567", "type": "message", "role": "assistant",
                        "model": "m", "content": [{"type": "text", "text": "Paris."}],
                        "stop_reason": "end_turn", "stop_sequence": null,
                        "usage": {"input_tokens": 37, "cache_creation_input_tokens": 0,
                                  "cache_read_input_tokens": 0, "output_tokens": 3}})",
          .parse = [](std::string_view body, const RequestLimits& limits,
                      FieldNotes* notes) { parse_messages_request(body, limits, notes); },
          .texts = with_answer_texts(with_input_texts({
              {"max_tokens", "Most tokens of the answer."},
              {"stop_sequences", "Texts that end the answer, of any length.", "[]",
               R"({"type": "array", "items": {"type": "string"}})"},
              {"metadata", "Labels of the client's own, without effect on the answer."},
              {"metadata.user_id", "A label of the client's own."},
          }))};
}

BodyDocs count_tokens_docs() {
  return {.path = "/v1/messages/count_tokens",
          .name = "CountTokensRequest",
          .produces = {},
          .examples = {R"({"model": "m", "messages": [{"role": "user", "content": "Hello"}]})",
                       R"({"model": "m", "messages": [{"role": "user", "content": "x"}],
                           "thinking": {"type": "adaptive"}, "output_config": {}})"},
          .answer = R"({"input_tokens": 31})",
          .parse = [](std::string_view body, const RequestLimits& limits,
                      FieldNotes* notes) { parse_count_tokens_request(body, limits, notes); },
          .texts = with_input_texts({{"model", "A name that /v1/models lists."}})};
}

}  // namespace

std::vector<BodyDocs> anthropic_body_docs() {
  return {messages_docs(), count_tokens_docs()};
}

}  // namespace lmdeploy
