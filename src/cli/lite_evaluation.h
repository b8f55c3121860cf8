#pragma once
#include <filesystem>
#include <span>

#include "quantize/report.h"
#include "tensor/ctx.h"

namespace lmdeploy::cli {

inline constexpr std::int32_t kEvaluationWindow = 2048;  // tokens

// What `after` has lost against `before`, both model folders, on the windows of `ids`, with progress on
// stderr. Throws Error.
EvaluationReport evaluate_loss(Ctx& ctx, const std::filesystem::path& before,
                               const std::filesystem::path& after, std::span<const std::int32_t> ids,
                               std::int64_t max_windows);

}  // namespace lmdeploy::cli
