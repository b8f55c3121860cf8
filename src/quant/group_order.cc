#include "quant/group_order.h"

#include <algorithm>

namespace lmdeploy {

std::optional<std::vector<std::int32_t>> order_by_group(std::span<const std::int32_t> g_idx,
                                                        std::int64_t group_size) {
  const std::int64_t k = std::ssize(g_idx);
  std::vector<std::int64_t> counts(static_cast<std::size_t>(k / group_size), 0);
  std::vector<std::int32_t> order(g_idx.size());
  for (std::int64_t input = 0; input < k; input++) {
    const std::int32_t group = g_idx[static_cast<std::size_t>(input)];
    if (group < 0 || group >= std::ssize(counts)) return std::nullopt;
    std::int64_t& count = counts[static_cast<std::size_t>(group)];
    if (count == group_size) return std::nullopt;
    order[static_cast<std::size_t>(group * group_size + count++)] = static_cast<std::int32_t>(input);
  }
  if (std::ssize(counts) * group_size != k) return std::nullopt;
  if (std::is_sorted(order.begin(), order.end())) order.clear();
  return order;
}

void sort_inputs(std::span<const std::int32_t> order, const QuantizedRows& rows) {
  CHECK(std::ssize(order) == rows.q.dim(1), "an order of {} for {} inputs", order.size(), rows.q.dim(1));
  std::vector<std::uint8_t> sorted(order.size());
  for (std::int64_t r = 0; r < rows.q.dim(0); r++) {
    std::uint8_t* q = rows.q.row<std::uint8_t>(r);
    for (std::size_t j = 0; j < order.size(); j++) sorted[j] = q[order[j]];
    std::copy(sorted.begin(), sorted.end(), q);
  }
}

}  // namespace lmdeploy
