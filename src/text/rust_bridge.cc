#include "text/rust_bridge.h"

#include <cstring>

#include "base/error.h"

namespace lmdeploy::rust {

extern "C" {
struct Buffer {  // owned by Rust
  const char* data;
  std::size_t len;
  std::size_t capacity;
};
struct Slice {
  const void* data;
  std::size_t len;
};
void lmd_free(Buffer buffer);
bool lmd_tokenizer_new(Slice json, Slice extra_tokens, TokenizerHandle** tokenizer, Buffer* out);
void lmd_tokenizer_delete(TokenizerHandle* tokenizer);
bool lmd_tokenizer_describe(const TokenizerHandle* tokenizer, Buffer* out);
bool lmd_tokenizer_encode(const TokenizerHandle* tokenizer, Slice text, bool add_special_tokens, Buffer* out);
bool lmd_tokenizer_encode_rendered(const TokenizerHandle* tokenizer, Slice text, Slice plain, Buffer* out);
bool lmd_tokenizer_decode(const TokenizerHandle* tokenizer, Slice ids, bool skip_special_tokens, Buffer* out);
std::int64_t lmd_tokenizer_token_to_id(const TokenizerHandle* tokenizer, Slice token);
bool lmd_tokenizer_id_to_token(const TokenizerHandle* tokenizer, std::uint32_t id, Buffer* out);
bool lmd_template_new(Slice setup, TemplateHandle** chat_template, Buffer* out);
void lmd_template_delete(TemplateHandle* chat_template);
bool lmd_template_render(const TemplateHandle* chat_template, Slice input, Buffer* plain, Buffer* out);
bool lmd_vocabulary_new(Slice bytes, Slice lens, Slice special, Slice eos, VocabularyHandle** vocabulary,
                        Buffer* out);
void lmd_vocabulary_delete(VocabularyHandle* vocabulary);
bool lmd_grammar_new(const VocabularyHandle* vocabulary, Slice lark, Slice schemas, std::uint32_t max_depth,
                     std::uint64_t max_compile_ms, GrammarHandle** grammar, Buffer* out);
void lmd_grammar_delete(GrammarHandle* grammar);
std::size_t lmd_grammar_num_bytes(const GrammarHandle* grammar);
bool lmd_grammar_has_failed(const GrammarHandle* grammar);
bool lmd_matcher_new(const GrammarHandle* grammar, MatcherHandle** matcher, Buffer* out);
void lmd_matcher_delete(MatcherHandle* matcher);
bool lmd_matcher_fill(MatcherHandle* matcher, std::uint32_t* mask, std::size_t num_words, bool* goes_on,
                      Buffer* out);
bool lmd_matcher_accept(MatcherHandle* matcher, std::uint32_t token, Buffer* out);
}

namespace {

Slice slice(std::string_view text) {
  return {text.data(), text.size()};
}

template <class T>
Slice slice(std::span<const T> items) {
  return {items.data(), items.size_bytes()};
}

// Rust's bytes, given back at the end of the scope.
class Output {
 public:
  Output() = default;
  ~Output() {
    if (buffer_.data != nullptr) lmd_free(buffer_);
  }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  Buffer* target() noexcept { return &buffer_; }
  std::string text() const { return {buffer_.data, buffer_.len}; }

  template <class T>
  std::vector<T> items() const {
    std::vector<T> items(buffer_.len / sizeof(T));
    if (!items.empty()) std::memcpy(items.data(), buffer_.data, items.size() * sizeof(T));
    return items;
  }

  void require(bool succeeded) const {
    if (!succeeded) throw Error(text());
  }

 private:
  Buffer buffer_{};
};

}  // namespace

void TokenizerDelete::operator()(TokenizerHandle* tokenizer) const noexcept {
  lmd_tokenizer_delete(tokenizer);
}
void TemplateDelete::operator()(TemplateHandle* chat_template) const noexcept {
  lmd_template_delete(chat_template);
}

void VocabularyDelete::operator()(VocabularyHandle* vocabulary) const noexcept {
  lmd_vocabulary_delete(vocabulary);
}
void GrammarDelete::operator()(GrammarHandle* grammar) const noexcept {
  lmd_grammar_delete(grammar);
}
void MatcherDelete::operator()(MatcherHandle* matcher) const noexcept {
  lmd_matcher_delete(matcher);
}

Tokenizer::Tokenizer(std::string_view json, std::string_view extra_tokens) {
  Output out;
  TokenizerHandle* handle = nullptr;
  const bool succeeded = lmd_tokenizer_new(slice(json), slice(extra_tokens), &handle, out.target());
  handle_.reset(handle);
  out.require(succeeded);
}

std::string Tokenizer::describe() const {
  Output out;
  out.require(lmd_tokenizer_describe(handle_.get(), out.target()));
  return out.text();
}

std::vector<std::int32_t> Tokenizer::encode(std::string_view text, bool add_special_tokens) const {
  Output out;
  out.require(lmd_tokenizer_encode(handle_.get(), slice(text), add_special_tokens, out.target()));
  return out.items<std::int32_t>();
}

std::vector<std::int32_t> Tokenizer::encode_rendered(std::string_view text,
                                                     std::span<const ByteSpan> plain) const {
  Output out;
  out.require(lmd_tokenizer_encode_rendered(handle_.get(), slice(text), slice(plain), out.target()));
  return out.items<std::int32_t>();
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids, bool skip_special_tokens) const {
  Output out;
  out.require(lmd_tokenizer_decode(handle_.get(), slice(ids), skip_special_tokens, out.target()));
  return out.text();
}

std::int64_t Tokenizer::token_to_id(std::string_view token) const {
  return lmd_tokenizer_token_to_id(handle_.get(), slice(token));
}

std::string Tokenizer::id_to_token(std::int32_t id) const {
  Output out;
  out.require(lmd_tokenizer_id_to_token(handle_.get(), static_cast<std::uint32_t>(id), out.target()));
  return out.text();
}

Template::Template(std::string_view setup_json) {
  Output out;
  TemplateHandle* handle = nullptr;
  const bool succeeded = lmd_template_new(slice(setup_json), &handle, out.target());
  handle_.reset(handle);
  out.require(succeeded);
}

Template::Rendered Template::render(std::string_view input_json) const {
  Output text;
  Output plain;
  text.require(lmd_template_render(handle_.get(), slice(input_json), plain.target(), text.target()));
  const auto offsets = plain.items<std::uint64_t>();
  Rendered rendered{text.text(), {}};
  for (std::size_t i = 0; i + 1 < offsets.size(); i += 2)
    rendered.plain.emplace_back(offsets[i], offsets[i + 1]);
  return rendered;
}

Vocabulary::Vocabulary(const Tokens& tokens, std::span<const std::int32_t> eos_ids) {
  Output out;
  VocabularyHandle* handle = nullptr;
  const bool succeeded = lmd_vocabulary_new(slice(tokens.bytes), slice(std::span(tokens.lens)),
                                            slice(tokens.special), slice(eos_ids), &handle, out.target());
  handle_.reset(handle);
  out.require(succeeded);
}

Grammar::Grammar(const Vocabulary& vocabulary, std::string_view lark, std::string_view schemas_json,
                 std::uint32_t max_depth, std::uint64_t max_compile_ms) {
  Output out;
  GrammarHandle* handle = nullptr;
  const bool succeeded = lmd_grammar_new(vocabulary.handle_.get(), slice(lark), slice(schemas_json),
                                         max_depth, max_compile_ms, &handle, out.target());
  handle_.reset(handle);
  out.require(succeeded);
}

std::size_t Grammar::num_bytes() const noexcept {
  return lmd_grammar_num_bytes(handle_.get());
}

bool Grammar::has_failed() const noexcept {
  return lmd_grammar_has_failed(handle_.get());
}

Matcher::Matcher(const Grammar& grammar) {
  Output out;
  MatcherHandle* handle = nullptr;
  const bool succeeded = lmd_matcher_new(grammar.handle_.get(), &handle, out.target());
  handle_.reset(handle);
  out.require(succeeded);
}

bool Matcher::fill(std::span<std::uint32_t> mask) {
  Output out;
  bool goes_on = false;
  out.require(lmd_matcher_fill(handle_.get(), mask.data(), mask.size(), &goes_on, out.target()));
  return goes_on;
}

void Matcher::accept(std::int32_t token) {
  Output out;
  out.require(lmd_matcher_accept(handle_.get(), static_cast<std::uint32_t>(token), out.target()));
}

}  // namespace lmdeploy::rust
