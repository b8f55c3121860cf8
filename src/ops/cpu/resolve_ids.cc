#include <algorithm>

#include "ops/cpu/cpu_ops.h"

namespace lmdeploy::ops::cpu {

void resolve_ids(Ctx&, std::span<const std::int32_t> ids, const View& drawn, const View& y) {
  const auto* tokens = drawn.as<std::int32_t>();
  std::transform(ids.begin(), ids.end(), y.as<std::int32_t>(),
                 [&](std::int32_t id) { return id >= 0 ? id : std::max(tokens[~id], 0); });
}

}  // namespace lmdeploy::ops::cpu
