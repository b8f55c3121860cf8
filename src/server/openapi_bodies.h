#pragma once
// The parts of the document about bodies. Private to openapi*.cc.
#include "server/openapi.h"

namespace lmdeploy {

inline constexpr std::string_view kEventStream = "text/event-stream";
inline constexpr std::string_view kStringOrStrings =
    R"({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]})";
inline constexpr std::string_view kTokenIds = R"({"type": "array", "items": {"type": "integer"}})";
inline constexpr std::string_view kTextsOrIds =
    R"({"anyOf": [{"type": "string"},
                  {"type": "array", "items": {"type": "string"}},
                  {"type": "array", "items": {"type": "integer"}},
                  {"type": "array", "items": {"type": "array", "items": {"type": "integer"}}}]})";

// A route's own texts before the common ones, over which they win: of the fields that shape an answer, and of
// those that shape what a chat template renders.
std::vector<FieldText> with_answer_texts(std::vector<FieldText> texts);
std::vector<FieldText> with_template_texts(std::vector<FieldText> texts);

// Of LMDeploy's own routes and of those about tokens alone.
std::vector<BodyDocs> native_body_docs();
std::vector<BodyDocs> anthropic_body_docs();
std::vector<BodyDocs> embeddings_body_docs();
std::vector<BodyDocs> responses_body_docs();

}  // namespace lmdeploy
