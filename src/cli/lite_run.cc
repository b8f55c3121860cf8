#include "cli/lite_run.h"

#include <algorithm>

#include "base/error.h"
#include "base/format_bytes.h"
#include "base/log.h"
#include "cli/byte_size.h"
#include "cli/device_choice.h"
#include "cli/interrupts.h"
#include "cli/lite_evaluation.h"
#include "cli/lite_progress.h"
#include "cli/lite_text.h"
#include "cli/model_source.h"
#include "cli/say.h"
#include "cli/stopwatch.h"
#include "model/compute_context.h"
#include "quantize/output_folder.h"
#include "quantize/pipeline.h"
#include "quantize/recipe_check.h"

namespace lmdeploy::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

constexpr int kInterrupted = 130;  // a shell's 128 + SIGINT

struct Interrupted {};

// FNV-1a (Fowler, Noll, Vo): tells texts apart, not enemies.
std::string fingerprint(std::span<const std::int32_t> ids) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (const std::byte byte : std::as_bytes(ids))
    hash = (hash ^ std::to_integer<std::uint64_t>(byte)) * 0x100000001b3U;
  return fmt::format("{:016x}", hash);
}

// One `lmdeploy lite`.
class LiteRun {
 public:
  explicit LiteRun(const LiteOptions& options)
      : options_(options),
        device_(find_device(options.device)),
        recipe_(options.recipe()),
        folder_(find_model(options.model).folder),
        config_(load_hf_config(folder_)),
        source_{config_, get_architecture(config_, folder_), std::make_shared<Checkpoint>(folder_),
                config_.dtype},
        compute_(device_, options.num_threads) {}

  void run() {
    check_recipe(source_, recipe_, options_.samples);
    text_ = load_lite_text(options_, folder_);
    if (!options_.resume) check_space(options_.work_dir, source_, recipe_, options_.samples);
    WorkFolder work(options_.work_dir, request(), options_.resume);
    quantize(work);
    const Stopwatch watch;
    const fs::path result = work.make_result_folder();
    if (recipe_.rounding == Recipe::Rounding::nothing)
      write_statistics(work, result, watch);
    else
      write_model(work, result, watch);
    work.publish();
    fmt::print("{}\n", options_.work_dir);
  }

 private:
  // What must be the same for an interrupted run to go on.
  ordered_json request() const {
    return {{"command", options_.command},
            {"model", fs::canonical(folder_).string()},
            {"model_bytes", source_.checkpoint->total_bytes()},
            {"device", device_ == Device::cpu ? "cpu" : "cuda"},
            {"w_bits", recipe_.bits},
            {"w_group_size", recipe_.group_size},
            {"w_sym", recipe_.symmetric},
            {"scaling", scaling_name(recipe_.scaling)},
            {"rounding", rounding_name(recipe_.rounding)},
            {"calib_samples", text_.samples.num_samples},
            {"calib_seqlen", text_.samples.seqlen},
            {"calib_tokens", fingerprint(text_.samples.ids)}};
  }

  void quantize(WorkFolder& work) {
    Interrupts interrupts;
    LiteProgress progress;
    quantize_layers(compute_.ctx(), source_, recipe_, text_.samples, work,
                    [&](const PipelineProgress& state) {
                      progress.update(state);
                      if (interrupts.take()) throw Interrupted();
                    },
                    {.device_bytes = device_bytes()});
  }

  // Of a card, that may be taken.
  std::int64_t device_bytes() const {
    if (device_ == Device::cpu) return 0;
    const std::int64_t free = free_card_bytes();
    return options_.memory_limit.empty() ? free : std::min(free, parse_memory_size(options_.memory_limit));
  }

  QuantizationReport start_report(const WorkFolder& work) const {
    QuantizationReport report;
    report.command = options_.command;
    report.model = options_.model.model;
    report.recipe = recipe_;
    report.calibration = {text_.calibration_dataset, text_.samples.num_samples, text_.samples.seqlen,
                          text_.samples.overlap};
    report.layers = work.reports();
    report.bytes_before = source_.checkpoint->total_bytes();
    for (const LayerReport& layer : report.layers) report.seconds += layer.seconds;  // of earlier runs too
    return report;
  }

  void write_statistics(const WorkFolder& work, const fs::path& target, const Stopwatch& watch) {
    QuantizationReport report = start_report(work);
    write_statistics_folder(work, target);
    report.seconds += watch.seconds();
    write_text_file(target / "calibration.json", calibration_json(report).dump(2) + "\n");
  }

  void write_model(const WorkFolder& work, const fs::path& target, const Stopwatch& watch) {
    QuantizationReport report = start_report(work);
    report.bytes_after = write_model_folder(source_, recipe_, work, target, {});
    report.seconds += watch.seconds();
    report.no_evaluation = text_.no_evaluation;
    if (!text_.evaluation_ids.empty()) {
      report.evaluation =
          evaluate_loss(compute_.ctx(), folder_, target, text_.evaluation_ids, options_.eval_windows);
      report.evaluation->text = text_.evaluation_file;
    }
    write_report(report, target);
    print_summary(report);
  }

  static void print_summary(const QuantizationReport& report) {
    say(fmt::format("{} became {} in {:.0f} s", format_bytes(report.bytes_before),
                    format_bytes(report.bytes_after), report.seconds));
    if (!report.evaluation) return say(fmt::format("loss not measured: {}", report.no_evaluation));
    const Comparison& found = report.evaluation->comparison;
    say(fmt::format("perplexity {:.4f} became {:.4f}, mean KL {:.4f}; quantization_report.md has the rest",
                    found.a.perplexity, found.b.perplexity, found.mean_kl));
  }

  const LiteOptions& options_;
  Device device_;
  Recipe recipe_;
  fs::path folder_;
  HfConfig config_;
  BlockSource source_;
  ComputeContext compute_;
  LiteText text_;
};

}  // namespace

int run_lite(const LiteOptions& options) {
  init_log(options.model.log_level);
  try {
    LiteRun(options).run();
    return 0;
  } catch (const Interrupted&) {
    say(fmt::format(
        "interrupted; the finished layers are in {}.partial. The same command with --resume goes on.",
        options.work_dir));
    return kInterrupted;
  }
}

}  // namespace lmdeploy::cli
