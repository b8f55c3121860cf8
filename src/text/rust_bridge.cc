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

}  // namespace lmdeploy::rust
