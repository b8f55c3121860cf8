#include "text/late_grammar.h"

#include <algorithm>
#include <optional>
#include <string>

#include "text/token_bytes.h"

namespace lmdeploy {
namespace {

constexpr std::uint32_t kWordBits = 32;

void set_bit(std::span<std::uint32_t> mask, TokenId id, bool value) {
  const auto bit = static_cast<std::uint32_t>(id);
  if (bit / kWordBits >= mask.size()) return;
  const std::uint32_t flag = 1U << bit % kWordBits;
  mask[bit / kWordBits] = value ? mask[bit / kWordBits] | flag : mask[bit / kWordBits] & ~flag;
}

struct Setup {
  const Tokenizer& tokenizer;
  std::vector<TokenId> eos_ids;
  std::optional<TokenId> think_begin;
  std::vector<TokenId> gaps;  // white space that may stand between the reasoning and the rest
};

class LateMask final : public TokenMask {
 public:
  LateMask(std::shared_ptr<const Setup> setup, ReasoningStart start, std::unique_ptr<TokenMask> inner)
      : setup_(std::move(setup)),
        inner_(std::move(inner)),
        state_(start == ReasoningStart::open ? State::reasoning : State::undecided) {}

  bool fill(std::span<std::uint32_t> mask) override {
    if (state_ == State::reasoning) {
      std::ranges::fill(mask, ~std::uint32_t{0});
      for (const TokenId id : setup_->eos_ids) set_bit(mask, id, false);
      return true;
    }
    const bool goes_on = inner_->fill(mask);
    if (state_ == State::bound) return goes_on;
    if (state_ == State::undecided) set_bit(mask, *setup_->think_begin, true);
    if (state_ == State::gap)
      for (const TokenId id : setup_->gaps) set_bit(mask, id, true);
    return true;
  }

  void accept(TokenId token) override {
    if (state_ == State::reasoning) return accept_reasoning(token);
    if (state_ == State::undecided && token == setup_->think_begin) {
      state_ = State::reasoning;
      return;
    }
    const bool is_gap = state_ == State::gap && std::ranges::find(setup_->gaps, token) != setup_->gaps.end();
    state_ = State::bound;
    if (!is_gap) inner_->accept(token);
  }

 private:
  enum class State : std::uint8_t { undecided, reasoning, gap, bound };

  // The end of the reasoning may be several tokens, but none that goes on behind it: the form begins with
  // one.
  void accept_reasoning(TokenId token) {
    tail_ += token_bytes(setup_->tokenizer, token);
    if (tail_.ends_with(kThinkEnd)) state_ = State::gap;
    if (tail_.size() > kThinkEnd.size()) tail_.erase(0, tail_.size() - kThinkEnd.size());
  }

  std::shared_ptr<const Setup> setup_;
  std::unique_ptr<TokenMask> inner_;
  State state_;
  std::string tail_;  // of the reasoning
};

class LateGrammar final : public Grammar {
 public:
  LateGrammar(std::shared_ptr<const Setup> setup, ReasoningStart start,
              std::shared_ptr<const Grammar> grammar)
      : setup_(std::move(setup)), start_(start), grammar_(std::move(grammar)) {}

  std::unique_ptr<TokenMask> begin() const override {
    return std::make_unique<LateMask>(setup_, start_, grammar_->begin());
  }

 private:
  std::shared_ptr<const Setup> setup_;
  ReasoningStart start_;
  std::shared_ptr<const Grammar> grammar_;
};

}  // namespace

std::shared_ptr<const Grammar> after_reasoning(const Tokenizer& tokenizer, std::vector<TokenId> eos_ids,
                                               ReasoningStart start, std::shared_ptr<const Grammar> grammar) {
  const auto setup =
      std::make_shared<Setup>(Setup{tokenizer, std::move(eos_ids), tokenizer.token_to_id(kThinkBegin), {}});
  for (const char* gap : {"\n", "\n\n"})
    if (const auto ids = tokenizer.encode(gap, false); ids.size() == 1) setup->gaps.push_back(ids.front());
  // Without a token for it an answer cannot be told to think before it does.
  const bool may_think =
      start == ReasoningStart::open || (start == ReasoningStart::undecided && setup->think_begin);
  return may_think ? std::make_shared<LateGrammar>(setup, start, std::move(grammar)) : grammar;
}

}  // namespace lmdeploy
