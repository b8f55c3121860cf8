#pragma once
// The files beside the weights: config.json, generation_config.json, tokenizer.json, tokenizer_config.json.
#include <filesystem>

#include "make_model_weights.h"

namespace lmdeploy::make_model {

// config.json alone. Throws Error.
void write_config(const ModelShape& shape, const Form& form, const std::filesystem::path& folder);

// All of them. The tokenizer is a byte-level BPE over letters with exactly vocab_size ids: any text encodes,
// any id decodes. Its special tokens and chat template are InternLM2's (ChatML), at InternLM2's places:
// <unk>, <s>, </s> first, <|plugin|> to <|im_start|> as the last six. Throws Error.
void write_texts(const ModelShape& shape, const Form& form, const std::filesystem::path& folder);

}  // namespace lmdeploy::make_model
