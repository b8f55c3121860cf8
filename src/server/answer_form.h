#pragma once
// The form that a request gives its answer: OpenAI's response_format, LMDeploy's regex_schema in it, and
// vLLM's structured_outputs and guided_*.
#include <string>
#include <variant>

#include "text/grammar.h"

namespace lmdeploy {

class JsonFields;
struct AnswerOptions;

struct AnswerForm {
  std::string field;  // that asks for it, for errors
  std::variant<GrammarSpec, StructuralTags> form;
};

// Sets options.form. Throws ApiError (400): more than one form, one that is not whole, or one together with a
// field that contradicts it.
void parse_answer_form(JsonFields& fields, AnswerOptions& options);

// Throws ApiError (400) that names the field.
GrammarSpec grammar_of(const Tokenizer& tokenizer, const AnswerForm& form);

}  // namespace lmdeploy
