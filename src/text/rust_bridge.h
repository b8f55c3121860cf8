#pragma once
// The C++ face of src/text/rust. Private to text/.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lmdeploy::rust {

struct TokenizerHandle;  // a Rust value
struct TemplateHandle;
struct TokenizerDelete {
  void operator()(TokenizerHandle* tokenizer) const noexcept;
};
struct TemplateDelete {
  void operator()(TemplateHandle* chat_template) const noexcept;
};

using ByteSpan = std::pair<std::uint64_t, std::uint64_t>;  // begin, end

// The crate `tokenizers` on one tokenizer.json. Every call throws Error with the crate's words on failure.
class Tokenizer {
 public:
  // extra_tokens: JSON list of added tokens that join those of the file, where the vocabulary has their text.
  Tokenizer(std::string_view json, std::string_view extra_tokens);

  std::string describe() const;  // JSON, see tokenizer.rs
  std::vector<std::int32_t> encode(std::string_view text, bool add_special_tokens) const;
  // `plain`: ascending and disjoint bytes of `text` of which no special token is made.
  std::vector<std::int32_t> encode_rendered(std::string_view text, std::span<const ByteSpan> plain) const;
  std::string decode(std::span<const std::int32_t> ids, bool skip_special_tokens) const;
  std::int64_t token_to_id(std::string_view token) const;  // -1: none
  std::string id_to_token(std::int32_t id) const;          // "": none

 private:
  std::unique_ptr<TokenizerHandle, TokenizerDelete> handle_;
};

// minijinja on one template.
class Template {
 public:
  explicit Template(std::string_view setup_json);  // see Template::from_setup in template/mod.rs

  struct Rendered {
    std::string text;
    std::vector<ByteSpan> plain;
  };
  Rendered render(std::string_view input_json) const;

 private:
  std::unique_ptr<TemplateHandle, TemplateDelete> handle_;
};

}  // namespace lmdeploy::rust
