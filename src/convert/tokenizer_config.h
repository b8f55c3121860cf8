#pragma once
#include <cstdint>
#include <string>

#include "checkpoint/gguf.h"
#include "checkpoint/hf_config.h"
#include "convert/vocabulary.h"

namespace lmdeploy::convert {

// The text of tokenizer_config.json: special tokens, and the chat template (or the named ones) of the file.
std::string tokenizer_config_json(const GgufMetadata& metadata, const Vocabulary& vocabulary,
                                  std::int64_t max_len);

// Copies the ids that begin, end and pad a text into config.json's struct. A chat's turn may end with another
// token than a text does: eos_token_id then lists both.
void set_special_ids(const Vocabulary& vocabulary, HfConfig& config);

// The text of generation_config.json.
std::string generation_config_json(const HfConfig& config);

}  // namespace lmdeploy::convert
