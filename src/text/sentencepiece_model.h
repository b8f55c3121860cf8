#pragma once
// The file tokenizer.model, as far as added tokens make it necessary to look into it. Private to text/.
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer_config.h"

namespace lmdeploy {

// One entry of the vocabulary; its index is its id.
struct Piece {
  // SentencePiece's own numbers.
  enum class Type : std::uint8_t {
    normal = 1,
    unknown = 2,
    control = 3,
    user_defined = 4,
    unused = 5,
    byte = 6
  };
  std::string_view text;
  Type type = Type::normal;
};

// The vocabulary of a serialized ModelProto. Views into `bytes`. Throws Error where the bytes are none.
std::vector<Piece> read_pieces(std::string_view bytes);

// The serialized model with every piece that an added token stands for turned into a control piece, which
// SentencePiece never makes of text: the old spelling of a replaced piece is plain text then, and a special
// token is found by us or not at all.
std::string with_added_tokens(std::string_view bytes, std::span<const AddedToken> added_tokens);

}  // namespace lmdeploy
