#include "cli/lite_evaluation.h"

#include "cli/progress.h"
#include "cli/stopwatch.h"
#include "model/registry.h"

namespace lmdeploy::cli {

EvaluationReport evaluate_loss(Ctx& ctx, const std::filesystem::path& before,
                               const std::filesystem::path& after, std::span<const std::int32_t> ids,
                               std::int64_t max_windows) {
  const Stopwatch watch;
  const auto a = load_model(ctx, before, {}), b = load_model(ctx, after, {});
  CompareOptions options;
  options.window = std::min(kEvaluationWindow, a->info().max_position_embeddings);
  options.max_windows = max_windows;
  ProgressLine line("evaluating", ProgressLine::Unit::count);
  EvaluationReport report;
  report.comparison = compare_models(ctx, *a, *b, ids, options, [&](const CompareProgress& progress) {
    line.update(progress.num_windows_done, progress.num_windows,
                fmt::format("mean KL {:.4f}", progress.mean_kl));
  });
  report.seconds = watch.seconds();
  return report;
}

}  // namespace lmdeploy::cli
