// Forms of answers as clients write them: compiled or refused, and then followed for some tokens.
#include <cstddef>
#include <cstdint>
#include <string>

#include "text/grammar.h"
#include "text/toy_tokenizer.h"

namespace lmdeploy {
namespace {

const testing::ToyTokenizer& tokenizer() {
  static const testing::ToyTokenizer tokenizer;
  return tokenizer;
}

GrammarSpec spec_of(char kind, const std::string& text) {
  switch (kind) {
    case 'j':
      return json_schema_grammar(text);
    case 'r':
      return regex_grammar(text);
    case 'c':
      return choice_grammar(std::vector<std::string>{text, "a"});
    case 't':
      return structural_tags_grammar(tokenizer(), {.triggers = {"<a"}, .tags = {{"<a>", text, "", "</a>"}}});
    default:
      return lark_grammar(text);
  }
}

void follow(const Grammar& grammar) {
  const auto mask = grammar.begin();
  std::vector<std::uint32_t> words(static_cast<std::size_t>((tokenizer().vocab_size() + 31) / 32));
  for (TokenId step = 0; step < 20; step++) {
    if (!mask->fill(words)) return;
    TokenId id = (step * 7) % tokenizer().vocab_size();
    const auto is_allowed = [&] { return (words[static_cast<std::size_t>(id) / 32] >> (id % 32) & 1) != 0; };
    while (!is_allowed()) id = (id + 1) % tokenizer().vocab_size();
    mask->accept(id);
  }
}

}  // namespace
}  // namespace lmdeploy

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lmdeploy;
  static GrammarCompiler compiler(tokenizer(), {*tokenizer().eos_id()});
  if (size == 0) return 0;
  try {
    follow(*compiler.compile(spec_of(static_cast<char>(data[0]), {data + 1, data + size})));
  } catch (const Error&) {
  }
  return 0;
}
