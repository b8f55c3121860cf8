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
struct VocabularyHandle;
struct GrammarHandle;
struct MatcherHandle;
struct TokenizerDelete {
  void operator()(TokenizerHandle* tokenizer) const noexcept;
};
struct TemplateDelete {
  void operator()(TemplateHandle* chat_template) const noexcept;
};

struct VocabularyDelete {
  void operator()(VocabularyHandle* vocabulary) const noexcept;
};
struct GrammarDelete {
  void operator()(GrammarHandle* grammar) const noexcept;
};
struct MatcherDelete {
  void operator()(MatcherHandle* matcher) const noexcept;
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

// A tokenizer as llguidance sees it. Immutable.
class Vocabulary {
 public:
  struct Tokens {
    std::string bytes;                // of all tokens, one after the other
    std::vector<std::uint32_t> lens;  // of each; 0: never allowed
    std::string special;              // one char each: 1 for those that no text makes
  };
  Vocabulary(const Tokens& tokens, std::span<const std::int32_t> eos_ids);

 private:
  friend class Grammar;
  std::unique_ptr<VocabularyHandle, VocabularyDelete> handle_;
};

// llguidance on one grammar. From any thread.
class Grammar {
 public:
  // schemas_json: [[name, schema as text], ...], see compile.rs. Blocks for max_compile_ms at most.
  Grammar(const Vocabulary& vocabulary, std::string_view lark, std::string_view schemas_json,
          std::uint32_t max_depth, std::uint64_t max_compile_ms);

  std::size_t num_bytes() const noexcept;  // about; it grows with use
  bool has_failed() const noexcept;  // a limit was met, which the next that is made of the same need not meet

 private:
  friend class Matcher;
  std::unique_ptr<GrammarHandle, GrammarDelete> handle_;
};

// One answer's way through a grammar, which may be gone before.
class Matcher {
 public:
  explicit Matcher(const Grammar& grammar);
  bool fill(std::span<std::uint32_t> mask);  // false: nothing but the end may come
  void accept(std::int32_t token);

 private:
  std::unique_ptr<MatcherHandle, MatcherDelete> handle_;
};

}  // namespace lmdeploy::rust
