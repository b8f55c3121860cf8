// The body of OpenAI's Responses API.
#include "server/openapi_bodies.h"
#include "server/responses.h"

namespace lmdeploy {
namespace {

constexpr std::string_view kInput =
    R"({"anyOf": [{"type": "string"}, {"type": "array", "minItems": 1, "items": {"type": "object"}}]})";

BodyDocs responses_docs() {
  return {
      .path = "/v1/responses",
      .name = "ResponsesRequest",
      .produces = kEventStream,
      .examples =
          {R"({"model": "m", "input": "What is the capital of France?", "temperature": 0})",
           R"({"model": "m", "input": "x", "stream": true, "stream_options": {}, "text": {}, "reasoning": {}})"},
      .answer = R"({"id": "resp_0123456789abcdef0123456789abcdef0123456789abcdef", "object": "response",
                    "created_at": 1795418500, "status": "completed", "background": false, "error": null,
                    "incomplete_details": null, "max_tool_calls": null, "model": "m",
                    "output": [{"id": "msg_0123456789abcdef01234567", "type": "message",
                                "status": "completed", "role": "assistant",
                                "content": [{"type": "output_text", "annotations": [], "logprobs": [],
                                             "text": "The capital of France is Paris."}]}],
                    "service_tier": "default", "truncation": "disabled",
                    "usage": {"input_tokens": 37,
                              "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
                              "output_tokens": 8, "output_tokens_details": {"reasoning_tokens": 0},
                              "total_tokens": 45},
                    "text": {"format": {"type": "text"}, "verbosity": "medium"},
                    "reasoning": {"effort": null, "summary": null}, "tools": [], "tool_choice": "auto",
                    "parallel_tool_calls": true, "user": null, "safety_identifier": null,
                    "prompt_cache_key": null, "prompt_cache_retention": null, "metadata": {},
                    "instructions": null, "previous_response_id": null, "store": true, "temperature": 0.0,
                    "top_p": 1.0, "top_logprobs": 0, "max_output_tokens": null,
                    "completed_at": 1795418501})",
      .parse = [](std::string_view body, const RequestLimits& limits,
                  FieldNotes* notes) { parse_responses_request(body, limits, notes); },
      .texts = with_answer_texts(with_template_texts({
          {"input", "What the user says, or items of a conversation.", {}, kInput},
          {"instructions", "What the model is told before the conversation; of this answer alone."},
          {"previous_response_id", "The conversation goes on behind this response, if it was stored."},
          {"store", "The response can be read again and gone on with.", "true"},
          {"max_output_tokens", "Most tokens of the answer. Default: what the session length leaves."},
          {"top_logprobs", "So many most likely tokens beside each token of the answer.", "0"},
          {"include", "message.output_text.logprobs: the answer's tokens come with their log probabilities.",
           "[]", R"({"type": "array", "items": {"const": "message.output_text.logprobs"}})"},
          {"text", "The form of the answer."},
          {"text.format", "text, json_object, or json_schema with its schema."},
          {"reasoning", "Nothing of it has an effect yet."},
          {"tools", "Functions that the model may call, as {type, name, description, parameters}.", "[]",
           R"({"type": "array", "items": {"type": "object", "required": ["type", "name"]}})"},
          {"tool_choice", "none, auto, required, or the function that is to be called.", R"("auto")",
           R"({"anyOf": [{"enum": ["none", "auto", "required"]},
                             {"type": "object", "required": ["type", "name"]}]})"},
          {"parallel_tool_calls", "An answer may have several calls.", "true"},
          {"stream_options", "Only where stream is true."},
      }))};
}

}  // namespace

std::vector<BodyDocs> responses_body_docs() {
  return {responses_docs()};
}

}  // namespace lmdeploy
