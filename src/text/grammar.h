#pragma once
// The form that an answer has to have (a JSON schema, a regular expression, a grammar), compiled for one
// tokenizer into masks over its vocabulary. The work is llguidance's (text/rust); this is its C++ face.
//
//   GrammarCompiler compiler(tokenizer, eos_ids);
//   std::shared_ptr<const Grammar> grammar = compiler.compile(json_schema_grammar(R"({"type": "object"})"));
//   std::unique_ptr<TokenMask> mask = grammar->begin();     // of one answer
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"
#include "base/task_threads.h"
#include "engine/token_mask.h"
#include "text/tokenizer.h"

namespace lmdeploy {

// What an answer has to look like, before it is compiled: llguidance's Lark, and the JSON schemas that it
// embeds. Schemas that come in this way have bounded white space between their tokens; those of `%json {...}`
// in the text have as much as the model likes.
struct GrammarSpec {
  struct Schema {
    std::string name;  // [a-zA-Z0-9_]+; "@name" stands for it in the Lark text
    std::string json;
    bool operator==(const Schema&) const = default;
  };
  std::string lark;
  std::vector<Schema> schemas = {};

  bool operator==(const GrammarSpec&) const = default;
};

GrammarSpec json_object_grammar();
GrammarSpec json_schema_grammar(std::string schema);
GrammarSpec regex_grammar(std::string_view regex);                 // Rust's syntax; the whole answer matches
GrammarSpec choice_grammar(std::span<const std::string> choices);  // not empty, nor is any of them
GrammarSpec lark_grammar(std::string lark);

// Free text in which what follows a trigger is constrained, as tool calls are. The text up to a trigger is
// free; behind the trigger one of the tags that begin with it has to go on, to its end; then text is free
// again.
struct StructuralTags {
  struct Tag {
    std::string begin;      // starts with one of the triggers
    std::string schema;     // JSON schema of what is between; empty: `lark` is
    std::string lark = {};  // a Lark expression, in the place of a schema
    std::string end;
  };
  std::vector<std::string> triggers;
  std::vector<Tag> tags;
  bool at_least_one = false;      // the answer has a tag, and begins with it
  bool stop_after_first = false;  // the answer ends behind a tag
};
// Special tokens of the tokenizer in triggers, begins and ends stand for the tokens. Throws Error where a tag
// begins with none of the triggers, or an empty list makes it meaningless.
GrammarSpec structural_tags_grammar(const Tokenizer& tokenizer, const StructuralTags& tags);

// Lark expressions, for GrammarSpec::lark and Tag::lark: what matches a regular expression (not empty), and
// `text` as it stands, as string literals and the tokenizer's special tokens.
std::string lark_regex(std::string_view regex);
std::string lark_literal(const Tokenizer& tokenizer, std::string_view text);

struct GrammarLimits {
  std::size_t max_spec_bytes = std::size_t{256} << 10;  // Lark text and schemas together
  int max_depth = 64;                                   // of schemas, and of brackets in Lark
  std::chrono::milliseconds max_compile_time{2000};
  std::size_t max_cache_bytes = std::size_t{128} << 20;
};

// Compiled, immutable but for caches inside, used from any thread.
class Grammar {
 public:
  virtual ~Grammar() = default;
  // At the beginning of an answer.
  virtual std::unique_ptr<TokenMask> begin() const = 0;
};

// Compiles for one tokenizer, and keeps what was used last: requests that ask for the same share it.
class GrammarCompiler {
 public:
  // Borrows the tokenizer. eos_ids: the tokens that end an answer; not empty.
  GrammarCompiler(const Tokenizer& tokenizer, std::vector<TokenId> eos_ids, GrammarLimits limits = {});
  ~GrammarCompiler();  // after the compilation that runs
  GrammarCompiler(const GrammarCompiler&) = delete;
  GrammarCompiler& operator=(const GrammarCompiler&) = delete;

  // Blocks. Throws Error that says what is wrong with the specification, keywords that are not supported by
  // name. From any thread.
  std::shared_ptr<const Grammar> compile(const GrammarSpec& spec);

  // The same on a thread of the compiler's own, or at once where it is kept. `done` must not throw.
  using Compiled = std::variant<std::shared_ptr<const Grammar>, Error>;
  void compile(GrammarSpec spec, std::function<void(Compiled)> done);

  std::size_t num_cache_bytes() const;  // <= GrammarLimits::max_cache_bytes

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
  // Two, so that one slow specification does not hold up all others. Last: their tasks use the above.
  TaskThreads threads_{2};
};

}  // namespace lmdeploy
