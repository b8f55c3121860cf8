// lmdeploy convert: a GGUF file becomes a Hugging Face folder.
#include <filesystem>
#include <memory>
#include <vector>

#include "cli/command.h"
#include "cli/progress.h"
#include "cli/usage_error.h"
#include "convert/gguf_to_hf.h"

namespace lmdeploy::cli {
namespace {

struct Options {
  std::vector<std::string> inputs;
  std::string work_dir;
};

int convert(const Options& options) {
  if (options.inputs.size() == 2)
    throw UsageError("`convert NAME MODEL` made LMDeploy's own weight format, which does not exist here",
                     "Model folders load as they are: lmdeploy chat MODEL. GGUF files: lmdeploy convert "
                     "FILE.gguf --work-dir DIR.");
  const std::filesystem::path input = options.inputs.front();
  if (std::filesystem::is_directory(input))
    throw UsageError(fmt::format("{} is a folder; convert reads a .gguf file", input.string()),
                     "Model folders load as they are: lmdeploy chat MODEL.");
  const std::filesystem::path folder = options.work_dir.empty() ? std::filesystem::path(input.stem())
                                                                : std::filesystem::path(options.work_dir);
  {
    ProgressLine progress("converting");
    convert_gguf(input, folder, [&](std::int64_t done, std::int64_t total) { progress.update(done, total); });
  }
  fmt::print("{}\n", folder.string());
  return 0;
}

}  // namespace

Action setup_convert(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("FILE", options->inputs, "A GGUF file of architecture llama, qwen2 or qwen3")
      ->expected(1, 2)
      ->required();
  app.add_option("--work-dir,--dst-path", options->work_dir,
                 "Folder to make; default: the file's name without .gguf, here")
      ->option_text("DIR");
  for (const char* name : {"--model-format", "--tp", "--revision", "--download-dir", "--tokenizer-path",
                           "--quant-path", "--group-size"})
    app.add_option(name)->group("");
  app.add_flag("--trust-remote-code")->group("");
  return [options] { return convert(*options); };
}

}  // namespace lmdeploy::cli
