#pragma once
#include <string>

#include "text/tokenizer.h"

namespace lmdeploy {

// What a token adds to a text in which it stands, with the space before a word and, of a token that is a part
// of a character only, that part: then the bytes are not UTF-8. A special token gives its name.
std::string token_bytes(const Tokenizer& tokenizer, TokenId id);

}  // namespace lmdeploy
