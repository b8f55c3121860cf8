#pragma once
// Act order (desc_act): GPTQ quantised the inputs with the largest activations first, so the inputs of a
// group are not neighbours. g_idx names the group of every input.
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "quant/quantized_rows.h"

namespace lmdeploy {

// The inputs sorted by group, those of a group in their own order: result[j] is the input that comes j-th.
// Empty where they are sorted already. nullopt where a group is not one of the k / group_size, or where one
// has more or fewer inputs than group_size.
std::optional<std::vector<std::int32_t>> order_by_group(std::span<const std::int32_t> g_idx,
                                                        std::int64_t group_size);

// Brings the columns of q into this order; scales and zeros are by group and stay.
void sort_inputs(std::span<const std::int32_t> order, const QuantizedRows& rows);

}  // namespace lmdeploy
