#pragma once
#include <span>
#include <string>
#include <string_view>

namespace lmdeploy::convert {

// How text is cut into pieces before byte-level BPE: the expressions are applied one after the other, each to
// the pieces that the one before left; what an expression matches is a piece, and so is what lies between.
struct PreTokenizer {
  std::span<const std::string_view> patterns;
  bool ignore_merges;  // a piece that is a token as a whole is not merged from parts
  bool add_bos;        // where the file does not say
};

// The row of tokenizer.ggml.pre. Throws Error naming `origin`: not in the table. Guessing would give other
// ids without a sign of it.
PreTokenizer get_pre_tokenizer(std::string_view pre, const std::string& origin);

}  // namespace lmdeploy::convert
