#pragma once
#include <string>

#include "checkpoint/gguf.h"
#include "convert/vocabulary.h"

namespace lmdeploy::convert {

// The text of tokenizer.json, made so that Hugging Face's tokenizers give the ids that llama.cpp gives for
// the file. Throws Error: a pre-tokeniser that is not known, merges that do not fit the tokens.
std::string tokenizer_json(const Vocabulary& vocabulary, const std::string& origin);

}  // namespace lmdeploy::convert
