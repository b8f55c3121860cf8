#include "model/batch_slice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace lmdeploy {
namespace {

using ::testing::ElementsAre;
using Ids = std::vector<std::int32_t>;

// Sequence 0 decodes its 70th token, sequence 1 prefills 5 tokens behind 62, sequence 2 its first two.
struct Example {
  Ids token_ids{10, 20, 21, 22, 23, 24, 30, 31};
  Ids positions{69, 62, 63, 64, 65, 66, 0, 1};
  Ids query_starts{0, 1, 6, 8};
  Ids context_lens{70, 67, 2};
  Ids block_tables{4, 7, 5, 2, 9, -1};
  Ids logits_rows{0, 5, 7};

  Batch batch() const {
    return {token_ids, positions, query_starts, context_lens, block_tables, 2, logits_rows};
  }
};

TEST(BatchSlice, WholeBatch) {
  const Example example;
  const BatchSlice slice = slice_batch(example.batch(), 0, 8, 64);
  EXPECT_EQ(slice.num_tokens(), 8);
  EXPECT_THAT(slice.slots, ElementsAre(7 * 64 + 5, 5 * 64 + 62, 5 * 64 + 63, 2 * 64, 2 * 64 + 1, 2 * 64 + 2,
                                       9 * 64, 9 * 64 + 1));
  EXPECT_EQ(slice.rows.query_starts, example.query_starts);
  EXPECT_EQ(slice.rows.context_lens, example.context_lens);
  EXPECT_EQ(slice.rows.block_tables, example.block_tables);
  EXPECT_EQ(slice.logits_rows, example.logits_rows);
}

TEST(BatchSlice, ASeamInsideASequenceShortensItsContext) {
  const Example example;
  const BatchSlice first = slice_batch(example.batch(), 0, 4, 64);
  EXPECT_THAT(first.rows.query_starts, ElementsAre(0, 1, 4));
  EXPECT_THAT(first.rows.context_lens, ElementsAre(70, 65));
  EXPECT_THAT(first.rows.block_tables, ElementsAre(4, 7, 5, 2));
  EXPECT_THAT(first.logits_rows, ElementsAre(0));
  EXPECT_EQ(first.first_logit, 0);

  const BatchSlice second = slice_batch(example.batch(), 4, 8, 64);
  EXPECT_THAT(second.token_ids, ElementsAre(23, 24, 30, 31));
  EXPECT_THAT(second.positions, ElementsAre(65, 66, 0, 1));
  EXPECT_THAT(second.rows.query_starts, ElementsAre(0, 2, 4));
  EXPECT_THAT(second.rows.context_lens, ElementsAre(67, 2));
  EXPECT_THAT(second.rows.block_tables, ElementsAre(5, 2, 9, -1));
  EXPECT_THAT(second.logits_rows, ElementsAre(1, 3));
  EXPECT_EQ(second.first_logit, 1);
}

TEST(BatchSlice, SeamsBetweenSequences) {
  const Example example;
  const BatchSlice slice = slice_batch(example.batch(), 1, 6, 64);
  EXPECT_THAT(slice.rows.query_starts, ElementsAre(0, 5));
  EXPECT_THAT(slice.rows.context_lens, ElementsAre(67));
  EXPECT_THAT(slice.logits_rows, ElementsAre(4));
  EXPECT_EQ(slice.first_logit, 1);
}

TEST(BatchSlice, LogitsQueriesStandAlone) {
  const Example example;
  const AttentionRows rows = logits_queries(slice_batch(example.batch(), 4, 8, 64));
  EXPECT_THAT(rows.query_starts, ElementsAre(0, 1, 2));
  EXPECT_THAT(rows.context_lens, ElementsAre(67, 2));
  EXPECT_THAT(rows.block_tables, ElementsAre(5, 2, 9, -1));
}

TEST(BatchSlice, CheckBatchFindsTheSchedulersMistakes) {
  EXPECT_NO_THROW(check_batch(Example().batch()));
  const auto refused = [](auto&& change) {
    Example example;
    change(example);
    EXPECT_THROW(check_batch(example.batch()), CheckFailure);
  };
  refused([](Example& e) { e.positions[3] = 60; });
  refused([](Example& e) { e.positions.pop_back(); });
  refused([](Example& e) { e.query_starts[1] = 0; });
  refused([](Example& e) { e.query_starts.back() = 9; });
  refused([](Example& e) { e.block_tables.pop_back(); });
  refused([](Example& e) { e.logits_rows = {5, 0}; });
  refused([](Example& e) { e.logits_rows = {8}; });
  refused([](Example& e) { e = {{}, {}, {0}, {}, {}, {}}; });
}

}  // namespace
}  // namespace lmdeploy
