#include "server/openapi_bodies.h"

#include "server/openai.h"

namespace lmdeploy {
namespace {

BodyDocs chat_docs() {
  return {
      .path = "/v1/chat/completions",
      .name = "ChatCompletionRequest",
      .produces = kEventStream,
      .examples =
          {R"({"model": "m", "messages": [{"role": "user", "content": "What is the capital of France?"}]})",
           R"({"model": "m", "messages": "raw", "stream": true, "stream_options": {}})",
           R"({"model": "m", "messages": "raw", "logprobs": true})",
           R"({"model": "m", "messages": "raw", "logprobs": true})"},
      .answer = R"({"id": "chatcmpl-0123456789abcdef01234567", "object": "chat.completion",
                    "created": 1795418500, "model": "m",
                    "choices": [{"index": 0,
                                 "message": {"role": "assistant", "content": "The capital of France is Paris."},
                                 "logprobs": null, "finish_reason": "stop"}],
                    "usage": {"prompt_tokens": 37, "completion_tokens": 8, "total_tokens": 45,
                              "prompt_tokens_details": {"cached_tokens": 0}}})",
      .parse = [](std::string_view body, const RequestLimits& limits,
                  FieldNotes* notes) { parse_chat_request(body, limits, notes); },
      .texts = with_answer_texts(with_template_texts({
          {"messages",
           "The conversation; a string is a raw prompt that passes no template.",
           {},
           R"({"anyOf": [{"$ref": "#/components/schemas/Messages"}, {"type": "string"}]})"},
          {"tools",
           "Functions that the answer may call: {\"type\": \"function\", \"function\": {\"name\", "
           "\"description\", \"parameters\": a JSON schema}}.",
           "[]", R"({"type": "array", "items": {"type": "object"}})"},
          {"tool_choice",
           "none: no call; auto: the model decides; required: at least one; an object: a call of this "
           "function.",
           {},
           R"({"anyOf": [{"enum": ["none", "auto", "required"]}, {"type": "object", "required": ["type", "function"],
                "properties": {"type": {"const": "function"}, "function": {"type": "object", "required": ["name"],
                               "properties": {"name": {"type": "string"}}}}}]})"},
          {"parallel_tool_calls", "Whether an answer may have more than one call.", "true"},
          {"logprobs", "The answer's tokens come with their log probabilities under the model.", "false"},
          {"top_logprobs", "So many most likely tokens beside each; only where logprobs is true.", "0"},
      }))};
}

BodyDocs completion_docs() {
  return {.path = "/v1/completions",
          .name = "CompletionRequest",
          .produces = kEventStream,
          .examples = {R"({"model": "m", "prompt": "The capital of France is"})",
                       R"({"model": "m", "prompt": "x", "stream": true, "stream_options": {}})"},
          .answer = R"({"id": "cmpl-0123456789abcdef01234567", "object": "text_completion",
                        "created": 1795418500, "model": "m",
                        "choices": [{"index": 0, "text": " Paris.", "logprobs": null,
                                     "finish_reason": "stop"}],
                        "usage": {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8,
                                  "prompt_tokens_details": {"cached_tokens": 0}}})",
          .parse = [](std::string_view body, const RequestLimits& limits,
                      FieldNotes* notes) { parse_completion_request(body, limits, notes); },
          .texts = with_answer_texts({
              {"prompt",
               "A text, its token ids, or a list of either, each answered on its own.",
               {},
               kTextsOrIds},
              {"max_tokens", "Most tokens of an answer; 0 where echo is true: only the prompt.", "16"},
              {"logprobs", "Log probabilities of the tokens, and so many most likely ones beside each."},
              {"suffix", "What follows the answer, of models that fill gaps.", "\"\""},
              {"echo", "The answer begins with its prompt.", "false"},
              {"best_of", "So many answers are made, and the n likeliest of them given. Default: n."},
          })};
}

}  // namespace

std::vector<BodyDocs> all_body_docs() {
  std::vector<BodyDocs> docs = native_body_docs();
  docs.insert(docs.begin(), {chat_docs(), completion_docs()});
  for (const auto more : {embeddings_body_docs, responses_body_docs, anthropic_body_docs})
    for (BodyDocs& one : more()) docs.push_back(std::move(one));
  return docs;
}

}  // namespace lmdeploy
