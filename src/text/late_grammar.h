#pragma once
#include <memory>
#include <vector>

#include "text/grammar.h"
#include "text/reasoning.h"

namespace lmdeploy {

// The same form for what comes behind an answer's reasoning, which is free text that has to be closed: none
// of `eos_ids` ends it. Where the prompt leaves it to the answer whether it thinks, <think> is one more way
// to begin. Borrows the tokenizer.
std::shared_ptr<const Grammar> after_reasoning(const Tokenizer& tokenizer, std::vector<TokenId> eos_ids,
                                               ReasoningStart start, std::shared_ptr<const Grammar> grammar);

}  // namespace lmdeploy
