// What clients ask of an answer's form, as Lark.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "text/grammar.h"

namespace lmdeploy {
namespace {

// Text up to, or between, special tokens, which no regular expression matches.
constexpr std::string_view kText = R"re(/(.|\n)+/)re";
constexpr std::string_view kTextOrNone = R"re(/(.|\n)*/)re";

std::string in_quotes(std::string_view text) {
  try {
    return nlohmann::json(text).dump();
  } catch (const nlohmann::json::exception&) {
    throw Error("expected text in UTF-8", "Send the grammar's strings as UTF-8.");
  }
}

// Between slashes, as it stands.
std::string between_slashes(std::string_view regex) {
  std::string text = "/";
  bool is_escaped = false;
  for (const char c : regex) {
    if (c == '\n') {
      text += is_escaped ? "n" : "\\n";
    } else {
      if (c == '/' && !is_escaped) text += '\\';
      text += c;
    }
    is_escaped = c == '\\' && !is_escaped;
  }
  return text + '/';
}

// Anchors say what is so anyway: the whole answer matches.
std::string_view without_anchors(std::string_view regex) {
  if (regex.starts_with('^')) regex.remove_prefix(1);
  if (!regex.ends_with('$')) return regex;
  const std::string_view before = regex.substr(0, regex.size() - 1);
  const auto num_escapes = before.size() - std::min(before.size(), before.find_last_not_of('\\') + 1);
  return num_escapes % 2 == 0 ? before : regex;
}

// A text cut at the special tokens in it.
struct Piece {
  std::string text;
  bool is_special;
};
std::vector<Piece> pieces(const Tokenizer& tokenizer, std::string_view text) {
  const std::vector<std::string> names = tokenizer.special_tokens();
  std::vector<Piece> pieces;
  while (!text.empty()) {
    std::size_t begin = text.size(), len = 0;
    for (const std::string& name : names) {
      const std::size_t at = name.empty() ? std::string_view::npos : text.find(name);
      if (at < begin || (at == begin && name.size() > len)) begin = at, len = name.size();
    }
    if (begin > 0) pieces.push_back({std::string(text.substr(0, begin)), false});
    if (len > 0) pieces.push_back({std::string(text.substr(begin, len)), true});
    text.remove_prefix(begin + len);
  }
  return pieces;
}

std::string literal(const Tokenizer& tokenizer, const Piece& piece) {
  if (!piece.is_special) return in_quotes(piece.text);
  // By number: a name need not have the form that Lark knows.
  return fmt::format("<[{}]>", tokenizer.token_to_id(piece.text).value());
}

std::string literal(const Tokenizer& tokenizer, std::span<const Piece> pieces) {
  std::string lark;
  for (const Piece& piece : pieces) lark += (lark.empty() ? "" : " ") + literal(tokenizer, piece);
  return lark.empty() ? R"("")" : lark;
}

// Free text and then the trigger, each at its first place.
std::string trigger_rule(const Tokenizer& tokenizer, const std::string& name, const std::string& trigger,
                         bool has_text_before) {
  const std::vector<Piece> all = pieces(tokenizer, trigger);
  const std::string whole = literal(tokenizer, all);
  if (!has_text_before) return fmt::format("{}: {}\n", name, whole);
  if (all.front().is_special) return fmt::format("{}: TEXT? {}\n", name, whole);
  if (all.size() > 1)
    throw Error(fmt::format("the trigger {} has text before a special token", in_quotes(trigger)),
                "Let the trigger begin with the special token.");
  return fmt::format("{}[lazy]: {} {}\n", name, kTextOrNone, whole);
}

// The rules of StructuralTags: a rule for each tag, and two for each trigger, with and without text before
// it.
class TagRules {
 public:
  TagRules(const Tokenizer& tokenizer, const StructuralTags& tags) : tokenizer_(tokenizer), tags_(tags) {
    if (tags.triggers.empty() || tags.tags.empty())
      throw Error(
          fmt::format("expected triggers and tags, found {} and {}", tags.triggers.size(), tags.tags.size()));
    options_.resize(tags.triggers.size());
    for (std::size_t i = 0; i < tags.tags.size(); i++) add_tag(i);
    for (std::size_t i = 0; i < tags.triggers.size(); i++) add_trigger(i);
    add_start();
  }

  GrammarSpec take() { return std::move(spec_); }

 private:
  void add_tag(std::size_t i) {
    const StructuralTags::Tag& tag = tags_.tags[i];
    const auto begins_tag = [&](const std::string& text) {
      return !text.empty() && tag.begin.starts_with(text);
    };
    const auto trigger = std::ranges::find_if(tags_.triggers, begins_tag);
    if (trigger == tags_.triggers.end())
      throw Error(fmt::format("the tag {} begins with none of the triggers", in_quotes(tag.begin)));
    std::string body = tag.lark;
    if (!tag.schema.empty()) {
      body = fmt::format("@schema_{}", i);
      spec_.schemas.push_back({body.substr(1), tag.schema});
    }
    append(options_[static_cast<std::size_t>(trigger - tags_.triggers.begin())], fmt::format("tag_{}", i));
    spec_.lark += fmt::format("tag_{}: {} ({}) {}\n", i,
                              lark_literal(tokenizer_, std::string_view(tag.begin).substr(trigger->size())),
                              body, lark_literal(tokenizer_, tag.end));
  }

  void add_trigger(std::size_t i) {
    const std::string& trigger = tags_.triggers[i];
    if (options_[i].empty())
      throw Error(fmt::format("no tag begins with the trigger {}", in_quotes(trigger)));
    const std::string at_once = fmt::format("trigger_{}", i), after_text = fmt::format("text_trigger_{}", i);
    spec_.lark += trigger_rule(tokenizer_, at_once, trigger, false);
    spec_.lark += trigger_rule(tokenizer_, after_text, trigger, true);
    append(at_once_, fmt::format("{} ({})", at_once, options_[i]));
    append(after_text_, fmt::format("{} ({})", after_text, options_[i]));
  }

  void add_start() {
    spec_.lark += fmt::format("TEXT: {}\ntagged: {}\n", kText, after_text_);
    const char* more = tags_.stop_after_first ? "" : " tagged* TEXT?";
    if (tags_.at_least_one)
      spec_.lark += fmt::format("start: ({}){}\n", at_once_, more);
    else
      spec_.lark += fmt::format("start: TEXT? | tagged{}\n", more);
  }

  static void append(std::string& alternatives, const std::string& one) {
    alternatives += (alternatives.empty() ? "" : " | ") + one;
  }

  const Tokenizer& tokenizer_;
  const StructuralTags& tags_;
  GrammarSpec spec_;
  std::vector<std::string> options_;  // of each trigger: the tags that begin with it
  std::string at_once_, after_text_;
};

}  // namespace

GrammarSpec json_object_grammar() {
  return json_schema_grammar(R"({"type": "object"})");
}

GrammarSpec json_schema_grammar(std::string schema) {
  return {.lark = {}, .schemas = {{"schema", std::move(schema)}}};
}

GrammarSpec regex_grammar(std::string_view regex) {
  return {.lark = fmt::format("start: ANSWER\nANSWER: {}\n", lark_regex(regex))};
}

GrammarSpec choice_grammar(std::span<const std::string> choices) {
  if (choices.empty()) throw Error("expected at least one choice, found none");
  std::string lark = "start: ANSWER\nANSWER: ";
  for (const std::string& choice : choices) {
    if (choice.empty()) throw Error("expected choices of at least one character, found an empty one");
    if (&choice != choices.data()) lark += " | ";
    lark += in_quotes(choice);
  }
  return {.lark = lark + '\n'};
}

GrammarSpec lark_grammar(std::string lark) {
  if (lark.find_first_not_of(" \t\r\n") == std::string::npos)
    throw Error("expected a grammar, found an empty one");
  return {.lark = std::move(lark)};
}

std::string lark_regex(std::string_view regex) {
  regex = without_anchors(regex);
  if (regex.empty()) throw Error("expected a regular expression, found an empty one");
  return between_slashes(regex);
}

std::string lark_literal(const Tokenizer& tokenizer, std::string_view text) {
  return literal(tokenizer, pieces(tokenizer, text));
}

GrammarSpec structural_tags_grammar(const Tokenizer& tokenizer, const StructuralTags& tags) {
  return TagRules(tokenizer, tags).take();
}

}  // namespace lmdeploy
