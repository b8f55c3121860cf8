// The bodies of LMDeploy's own routes and of those about tokens alone.
#include "server/native.h"
#include "server/openapi_bodies.h"
#include "server/token_requests.h"

namespace lmdeploy {
namespace {

constexpr std::string_view kTextOrMessages =
    R"({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "object"}}]})";

BodyDocs generate_docs() {
  return {.path = "/generate",
          .name = "GenerateRequest",
          .produces = kEventStream,
          .examples = {R"({"prompt": "The capital of France is"})", R"({"input_ids": [1]})"},
          .answer = R"({"text": " Paris.", "output_ids": [7042, 30, 2],
                        "meta_info": {"prompt_tokens": 5, "completion_tokens": 3,
                                      "finish_reason": {"type": "stop"}, "output_token_logprobs": null}})",
          .parse = [](std::string_view body, const RequestLimits& limits,
                      FieldNotes* notes) { parse_generate_request(body, limits, notes); },
          .texts = with_answer_texts({
              {"prompt", "A raw text; or else input_ids."},
              {"input_ids", "The prompt's token ids.", {}, kTokenIds},
              {"max_tokens", "Most tokens of an answer.", "128"},
              {"return_logprob", "The answer's tokens come with their log probabilities.", "false"},
          })};
}

BodyDocs interactive_docs() {
  return {.path = "/v1/chat/interactive",
          .name = "InteractiveRequest",
          .produces = "application/x-ndjson",
          .examples = {R"({"prompt": "Hello", "session_id": 1, "interactive_mode": true})",
                       R"({"prompt": "Hello"})", R"({"session_id": 1, "cancel": true})"},
          .answer = R"({"text": "Hello!", "tokens": 3, "input_tokens": 31, "history_tokens": 0,
                        "finish_reason": "stop"})",
          .parse = [](std::string_view body, const RequestLimits& limits,
                      FieldNotes* notes) { parse_interactive_request(body, limits, notes); },
          .texts = with_answer_texts({
              {"prompt",
               "The user's next message, or messages; without one the session ends.",
               {},
               kTextOrMessages},
              {"session_id", "The conversation; -1: none, and nothing is kept.", "-1"},
              {"interactive_mode", "The session goes on after this answer.", "false"},
              {"cancel", "Ends the answer that the session is given just now.", "false"},
              {"request_output_len", "Another name of max_tokens."},
              {"temperature", "0 takes the most likely token each time.", "0.8"},
              {"top_p", "Draw among the most likely tokens whose probabilities add up to this.", "0.8"},
              {"top_k", "Draw among so many most likely tokens; 0: among all.", "40"},
              {"repetition_penalty", "Above 1, tokens that came before become less likely.", "1"},
              {"stream", "Send the answer while it is made, a JSON object in each line.", "false"},
          })};
}

BodyDocs abort_docs() {
  return {.path = "/abort_request",
          .name = "AbortRequest",
          .produces = {},
          .examples = {R"({"session_id": 1})", R"({"request_id": "x"})"},
          .answer = R"({"success": true, "num_aborted": 1})",
          .parse = [](std::string_view body, const RequestLimits&,
                      FieldNotes* notes) { parse_abort_request(body, notes); },
          .texts = {
              {"session_id", "Ends the answers of this session."},
              {"request_id", "Ends the answer to the request with this x-request-id."},
              {"abort_all", "Ends all answers.", "false"},
          }};
}

BodyDocs encode_docs() {
  return {.path = "/v1/encode",
          .name = "EncodeRequest",
          .produces = {},
          .examples = {R"({"input": "Hello"})"},
          .answer = R"({"input_ids": [19556], "length": 1})",
          .parse = [](std::string_view body, const RequestLimits& limits,
                      FieldNotes* notes) { parse_encode_request(body, limits, notes); },
          .texts = {
              {"input", "A text, or a list of texts.", {}, kStringOrStrings},
              {"do_preprocess", "Each text is a user's message and passes the chat template.", "false"},
              {"add_bos", "The ids begin with the model's first token, where it has one.", "true"},
          }};
}

BodyDocs tokenize_docs() {
  return {.path = "/tokenize",
          .name = "TokenizeRequest",
          .produces = {},
          .examples = {R"({"prompt": "Hello"})", R"({"messages": [{"role": "user", "content": "Hello"}]})"},
          .answer = R"({"count": 1, "max_model_len": 8192, "tokens": [19556], "token_strs": null})",
          .parse = [](std::string_view body, const RequestLimits& limits,
                      FieldNotes* notes) { parse_tokenize_request(body, limits, notes); },
          .texts = with_template_texts({
              {"model", "A name that /v1/models lists. Default: the only one."},
              {"prompt", "A raw text; or else messages."},
              {"add_special_tokens", "A raw text gets the model's first token. Default: true for a prompt."},
              {"return_token_strs", "The answer spells each token, too.", "false"},
          })};
}

BodyDocs detokenize_docs() {
  return {.path = "/detokenize",
          .name = "DetokenizeRequest",
          .produces = {},
          .examples = {R"({"tokens": [1]})"},
          .answer = R"({"prompt": "Hello"})",
          .parse = [](std::string_view body, const RequestLimits& limits,
                      FieldNotes* notes) { parse_detokenize_request(body, limits, notes); },
          .texts = {
              {"model", "A name that /v1/models lists. Default: the only one."},
              {"tokens", "Token ids.", {}, kTokenIds},
          }};
}

}  // namespace

std::vector<BodyDocs> native_body_docs() {
  return {generate_docs(), interactive_docs(), abort_docs(),
          encode_docs(),   tokenize_docs(),    detokenize_docs()};
}

}  // namespace lmdeploy
