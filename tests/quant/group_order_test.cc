#include "quant/group_order.h"

#include <gtest/gtest.h>

#include "quant/owned_rows.h"

namespace lmdeploy::testing {
namespace {

using Ids = std::vector<std::int32_t>;

TEST(GroupOrder, SortedInputsNeedNoOrder) {
  EXPECT_EQ(order_by_group(Ids{0, 0, 1, 1, 2, 2}, 2), Ids{});
  EXPECT_EQ(order_by_group(Ids{0, 0, 0}, 3), Ids{});
}

TEST(GroupOrder, InputsOfAGroupKeepTheirOrder) {
  EXPECT_EQ(order_by_group(Ids{1, 0, 2, 0, 1, 2}, 2), (Ids{1, 3, 0, 4, 2, 5}));
}

TEST(GroupOrder, GroupsThatAreNotOneSizeHaveNone) {
  EXPECT_EQ(order_by_group(Ids{0, 0, 0, 1}, 2), std::nullopt);
  EXPECT_EQ(order_by_group(Ids{0, 0, 1, 2}, 2), std::nullopt);
  EXPECT_EQ(order_by_group(Ids{0, 0, -1, 1}, 2), std::nullopt);
  EXPECT_EQ(order_by_group(Ids{0, 0, 1}, 2), std::nullopt);
  EXPECT_EQ(order_by_group(Ids{0, 0}, 3), std::nullopt);
}

TEST(GroupOrder, ColumnsFollowTheOrder) {
  const RowShape shape{5, 6, 2};
  const OwnedRows rows = OwnedRows::random(shape, 1), sorted = OwnedRows::random(shape, 1);
  const Ids order{1, 3, 0, 4, 2, 5};
  sort_inputs(order, sorted.view());
  for (std::int64_t n = 0; n < 5; n++)
    for (std::size_t j = 0; j < order.size(); j++)
      EXPECT_EQ(sorted.view().q.row<std::uint8_t>(n)[j], rows.view().q.row<std::uint8_t>(n)[order[j]]);
  EXPECT_EQ(sorted.view().q.row<std::uint8_t>(0)[6], OwnedRows::kUntouched);
}

}  // namespace
}  // namespace lmdeploy::testing
