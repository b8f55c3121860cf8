#include "text/stream_decoder.h"

#include <gtest/gtest.h>

#include <random>

#include "golden.h"

namespace lmdeploy {
namespace {

using Ids = std::vector<TokenId>;

bool is_utf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const auto lead = static_cast<unsigned char>(text[at]);
    const std::size_t len = lead < 0x80   ? 1
                            : lead < 0xC2 ? 0
                            : lead < 0xE0 ? 2
                            : lead < 0xF0 ? 3
                            : lead < 0xF5 ? 4
                                          : 0;
    if (len == 0 || at + len > text.size()) return false;
    for (std::size_t i = 1; i < len; ++i)
      if ((static_cast<unsigned char>(text[at + i]) & 0xC0) != 0x80) return false;
    at += len;
  }
  return true;
}

std::string streamed(const Tokenizer& tokenizer, const Ids& ids, const StreamDecoderOptions& options = {}) {
  StreamDecoder decoder(tokenizer, options);
  std::string text;
  for (const TokenId id : ids) {
    const std::string piece = decoder.feed(id);
    EXPECT_TRUE(is_utf8(piece));
    text += piece;
  }
  return text + decoder.finish();
}

class Streamed : public ::testing::TestWithParam<std::string> {
 protected:
  std::unique_ptr<Tokenizer> tokenizer_ = Tokenizer::load(::lmdeploy::testing::golden("text") / GetParam());
  std::mt19937 random_{5};

  int below(int limit) { return std::uniform_int_distribution<int>(0, limit - 1)(random_); }

  // Some sequences of any tokens, some of the first few hundred, where special and byte tokens are.
  Ids random_ids(int max_len) {
    const int limit = below(2) == 0 ? 270 : tokenizer_->vocab_size();
    Ids ids(static_cast<std::size_t>(1 + below(max_len)));
    for (auto& id : ids) id = below(limit);
    return ids;
  }
};

TEST_P(Streamed, PiecesAddUpToTheDecodingOfAllTokens) {
  for (int i = 0; i < 1500; ++i) {
    const Ids ids = random_ids(80);
    for (const bool skip : {true, false}) {
      for (const bool spaces : {true, false}) {
        const Tokenizer::DecodeOptions options{skip, spaces};
        ASSERT_EQ(streamed(*tokenizer_, ids, {.decode = options}), tokenizer_->decode(ids, options)) << i;
      }
    }
  }
}

TEST_P(Streamed, TextComesBack) {
  const std::string text = "从前有一个小女孩 👍🏽 déjà vu\n\n  the end\t<tag> 12345 ";
  EXPECT_EQ(streamed(*tokenizer_, tokenizer_->encode(text, false)), text);
}

TEST_P(Streamed, StopsBeforeTheFirstStopStringWhereverTokensEnd) {
  for (int i = 0; i < 1500; ++i) {
    const Ids ids = random_ids(60);
    const std::string whole = tokenizer_->decode(ids, {});
    if (whole.size() < 4) continue;
    const auto begin = static_cast<std::size_t>(below(static_cast<int>(whole.size())));
    const std::string stop = whole.substr(begin, static_cast<std::size_t>(1 + below(12)));
    if (!is_utf8(stop)) continue;  // a request cannot hold such a stop
    const std::size_t found = whole.find(stop);
    ASSERT_EQ(streamed(*tokenizer_, ids, {.decode = {}, .stop = {stop}, .include_stop_str_in_output = true}),
              whole.substr(0, found + stop.size()));
    ASSERT_EQ(streamed(*tokenizer_, ids, {.decode = {}, .stop = {"\x01never", stop}}),
              whole.substr(0, found));
  }
}

TEST_P(Streamed, GivesNothingOutAfterAStop) {
  StreamDecoder decoder(*tokenizer_, {.decode = {}, .stop = {"the"}});
  for (const TokenId id : tokenizer_->encode("a the b the", false)) decoder.feed(id);
  EXPECT_TRUE(decoder.stopped());
  EXPECT_EQ(decoder.feed(tokenizer_->encode("x", false).front()), "");
  EXPECT_EQ(decoder.finish(), "");
}

TEST_P(Streamed, HoldsBackOnlyWhatMayBeginAStop) {
  StreamDecoder decoder(*tokenizer_, {.decode = {}, .stop = {"\nUser:"}});
  std::string text;
  for (const TokenId id : tokenizer_->encode("a\nUs and them", false)) text += decoder.feed(id);
  EXPECT_EQ(text, "a\nUs and them");
  EXPECT_FALSE(decoder.stopped());
}

TEST_P(Streamed, OfTwoStopsTheOneCompletedFirstCounts) {
  for (const bool together : {true, false}) {
    const std::string text = together ? "a the miller" : "a t h e miller";
    const Ids ids = tokenizer_->encode(text, false);
    const std::string longer = together ? "the miller" : "t h e miller";
    const std::string shorter = together ? "he" : "h e";
    EXPECT_EQ(streamed(*tokenizer_, ids, {.decode = {}, .stop = {longer, shorter}}),
              text.substr(0, text.find(shorter)));
  }
}

// What an answer adds to its prompt is what both together say beyond the prompt.
TEST_P(Streamed, GoesOnWhereTheContextEnds) {
  int num_compared = 0;
  for (int i = 0; i < 1500; ++i) {
    const Ids ids = random_ids(60);
    const auto split = static_cast<std::size_t>(below(static_cast<int>(ids.size())));
    const Ids before(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(split));
    const std::string whole = tokenizer_->decode(ids, {}), prefix = tokenizer_->decode(before, {});
    if (prefix.empty() || prefix.ends_with("\xEF\xBF\xBD") || !whole.starts_with(prefix)) continue;
    const Ids context(before.end() - static_cast<std::ptrdiff_t>(std::min<std::size_t>(split, 12)),
                      before.end());
    StreamDecoder decoder(*tokenizer_, {.decode = {}, .stop = {}, .context = context});
    std::string text;
    for (std::size_t k = split; k < ids.size(); ++k) text += decoder.feed(ids[k]);
    ASSERT_EQ(prefix + text + decoder.finish(), whole) << i;
    ++num_compared;
  }
  EXPECT_GT(num_compared, 300);
}

TEST_P(Streamed, AStopDoesNotBeginInTheContext) {
  const Ids context = tokenizer_->encode("a good", false), ids = tokenizer_->encode("bye ends", false);
  StreamDecoder decoder(*tokenizer_, {.decode = {}, .stop = {"dbye", "good"}, .context = context});
  std::string text;
  for (const TokenId id : ids) text += decoder.feed(id);
  text += decoder.finish();
  EXPECT_FALSE(decoder.stopped());
  EXPECT_TRUE(text.ends_with("bye ends")) << text;
}

// What is certain only when nothing follows may complete a stop.
TEST_P(Streamed, AStopMayComeWithTheFlush) {
  Ids ids = tokenizer_->encode("the end🦊", false);
  const std::string whole = tokenizer_->decode(ids, {});
  while (tokenizer_->decode(ids, {}) == whole) ids.pop_back();
  const std::string cut = tokenizer_->decode(ids, {});  // where the character is several tokens
  if (!cut.ends_with("\xEF\xBF\xBD")) GTEST_SKIP() << "a character is one token here";
  StreamDecoder decoder(*tokenizer_, {.decode = {}, .stop = {"d\xEF\xBF\xBD"}});
  std::string text;
  for (const TokenId id : ids) text += decoder.feed(id);
  EXPECT_FALSE(decoder.stopped());
  text += decoder.finish();
  EXPECT_TRUE(decoder.stopped());
  EXPECT_EQ(text, "the en");
}

TEST_P(Streamed, CountsCharactersOnceTheyAreCertain) {
  const std::string text = "从前有一个小女孩 déjà vu the end";
  StreamDecoder decoder(*tokenizer_, {.decode = {}, .stop = {"never"}});
  std::string given;
  for (const TokenId id : tokenizer_->encode(text, false)) given += decoder.feed(id);
  given += decoder.finish();
  EXPECT_EQ(given, text);
  EXPECT_EQ(decoder.num_chars(), 24);
}

// 50,000 tokens would take minutes if each decoded all before it.
TEST_P(Streamed, CostsTheSameForEveryToken) {
  Ids ids(50000);
  for (auto& id : ids) id = below(tokenizer_->vocab_size());
  EXPECT_EQ(streamed(*tokenizer_, ids), tokenizer_->decode(ids, {}));
}

INSTANTIATE_TEST_SUITE_P(All, Streamed,
                         ::testing::Values("sentencepiece", "sentencepiece_prefix", "byte_level",
                                           "byte_fallback"),
                         [](const auto& instance) { return instance.param; });

TEST(StreamDecoder, shows_chosen_special_tokens_though_others_are_skipped) {
  const auto tokenizer = Tokenizer::load(::lmdeploy::testing::golden("models/internlm2_5"));
  const TokenId start = *tokenizer->token_to_id("<|action_start|>"),
                end = *tokenizer->token_to_id("<|im_end|>");
  Ids ids = tokenizer->encode("one two", false);
  const Ids word = ids;
  ids.push_back(end);
  ids.push_back(start);
  ids.insert(ids.end(), word.begin(), word.end());
  StreamDecoderOptions options{.shown_tokens = {start}};
  EXPECT_EQ(streamed(*tokenizer, ids, options), "one two<|action_start|>one two");
  options.stop = {"two<|act"};
  EXPECT_EQ(streamed(*tokenizer, ids, options), "one ");
}

}  // namespace
}  // namespace lmdeploy
