#include "cli/process_memory.h"

#include "base/thread_pool.h"

namespace lmdeploy::cli {
namespace {

namespace fs = std::filesystem;

// The program's pages that a server touches, its heap, its threads' stacks but the engine's.
constexpr std::int64_t kProgramBytes = std::int64_t{24} << 20;
constexpr std::int64_t kThreadBytes = std::int64_t{100} << 10;
// Of a tokenizer in memory for each byte of its file: tokenizer.json, tokenizer.model.
constexpr double kJsonBytesPerByte = 13.6;
constexpr double kModelBytesPerByte = 3.5;

std::int64_t file_bytes(const fs::path& file) {
  std::error_code missing;
  const auto bytes = fs::file_size(file, missing);
  return missing ? 0 : static_cast<std::int64_t>(bytes);
}

}  // namespace

CardBytes card_bytes(std::int64_t context_bytes) {
  constexpr std::int64_t kUsualContext = std::int64_t{450} << 20, kLater = std::int64_t{150} << 20;
  return {context_bytes > 0 ? context_bytes : kUsualContext, kLater};
}

std::int64_t process_bytes(const fs::path& folder, const EngineFlags& flags) {
  const auto json = static_cast<double>(file_bytes(folder / "tokenizer.json"));
  const auto model = static_cast<double>(file_bytes(folder / "tokenizer.model"));
  const double tokenizer = json > 0 ? kJsonBytesPerByte * json : kModelBytesPerByte * model;
  const int num_threads = flags.num_threads > 0 ? flags.num_threads : ThreadPool::num_usable_cpus();
  return kProgramBytes + kThreadBytes * num_threads + static_cast<std::int64_t>(tokenizer);
}

}  // namespace lmdeploy::cli
