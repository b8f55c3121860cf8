#include "cli/lite_text.h"

#include <algorithm>

#include "base/error.h"
#include "base/mapped_file.h"
#include "cli/calibration_dataset.h"
#include "cli/lite_evaluation.h"
#include "cli/say.h"
#include "cli/usage_error.h"
#include "text/tokenizer.h"

namespace lmdeploy::cli {
namespace {

namespace fs = std::filesystem;

// Back to the start of a UTF-8 character.
std::size_t whole_characters(std::string_view text, std::size_t end) {
  while (end > 0 && end < text.size() && (static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80U) --end;
  return end;
}

// At once, without special tokens; of a large file the first part.
std::vector<TokenId> tokenize(const Tokenizer& tokenizer, const fs::path& file) {
  const MappedFile mapped(file);
  const std::string_view text = mapped.text();
  const std::size_t end = whole_characters(text, std::min(text.size(), kMaxCalibrationBytes));
  if (end < text.size()) say(fmt::format("{}: the first {} bytes are used", file.string(), end));
  return tokenizer.encode(text.substr(0, end), false);
}

fs::path calibration_file(const LiteOptions& options) {
  const std::string& dataset = options.calib_dataset;
  if (fs::is_regular_file(dataset)) return dataset;
  fs::path file = calibration_dataset_file(dataset, options.model);
  if (file.empty())
    throw UsageError(fmt::format("--calib-dataset {}: there is no such file", dataset),
                     fmt::format("Give a text file, or one of {}.", calibration_dataset_names()));
  return file;
}

class TextLoader {
 public:
  TextLoader(const LiteOptions& options, const fs::path& model_folder)
      : options_(options),
        tokenizer_(Tokenizer::load(model_folder)),
        wants_evaluation_(!options.no_eval && options.command != "calibrate") {}

  LiteText load() {
    if (!wants_evaluation_) result_.no_evaluation = "--no-eval";
    if (wants_evaluation_ && !options_.eval_text.empty())
      evaluate_on(options_.eval_text, tokenize(*tokenizer_, options_.eval_text));
    if (options_.samples.num_samples > 0)
      choose(options_.calib_dataset, tokenize(*tokenizer_, calibration_file(options_)));
    else if (wants_evaluation_ && options_.eval_text.empty())
      result_.no_evaluation = "there was no text; --eval-text FILE gives one";
    return std::move(result_);
  }

 private:
  void evaluate_on(const std::string& file, std::vector<TokenId> ids) {
    result_.evaluation_file = file;
    result_.evaluation_ids = std::move(ids);
  }

  void choose(const std::string& dataset, std::vector<TokenId> ids) {
    if (wants_evaluation_ && options_.eval_text.empty()) hold_out(dataset, ids);
    result_.calibration_dataset = dataset;
    result_.samples = choose_samples(ids, options_.samples);
    if (result_.samples.overlap > 0)
      say(fmt::format("{} has {} tokens, so that samples overlap: {:.0f} % of theirs are in two of them",
                      dataset, ids.size(), 100 * result_.samples.overlap));
  }

  // The end of the text, where the samples leave enough of it.
  void hold_out(const std::string& dataset, std::vector<TokenId>& ids) {
    const std::int64_t held = options_.eval_windows * kEvaluationWindow;
    const std::int64_t sampled = options_.samples.num_samples * options_.samples.seqlen;
    if (std::ssize(ids) < held + sampled) {
      result_.no_evaluation = fmt::format(
          "{} has {} tokens, too few to calibrate with {} and hold out {}; --eval-text FILE gives another",
          dataset, ids.size(), sampled, held);
      return;
    }
    evaluate_on(fmt::format("the end of {}", dataset), {ids.end() - held, ids.end()});
    ids.resize(ids.size() - static_cast<std::size_t>(held));
  }

  const LiteOptions& options_;
  std::unique_ptr<Tokenizer> tokenizer_;
  bool wants_evaluation_;
  LiteText result_;
};

}  // namespace

LiteText load_lite_text(const LiteOptions& options, const fs::path& model_folder) {
  return TextLoader(options, model_folder).load();
}

}  // namespace lmdeploy::cli
