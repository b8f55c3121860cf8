#include "cli/gguf_cache.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/log.h"
#include "cli/cache_key.h"
#include "cli/environment.h"
#include "cli/progress.h"
#include "cli/say.h"
#include "convert/gguf_to_hf.h"

namespace lmdeploy::cli {
namespace {

namespace fs = std::filesystem;

std::string key_of(const fs::path& gguf) {
  struct stat info{};
  if (stat(gguf.c_str(), &info) != 0)
    throw Error(fmt::format("cannot read {}: {}", gguf.string(), std::strerror(errno)),
                "Check the path and its permissions.");
  const std::string identity = fmt::format("{}|{}|{}.{}", fs::canonical(gguf).string(), info.st_size,
                                           info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
  return cache_key(gguf.stem().string(), identity);
}

}  // namespace

fs::path converted_gguf(const fs::path& gguf) {
  const fs::path folder = lmdeploy_cache_folder() / "gguf" / key_of(gguf);
  if (fs::exists(folder / "config.json")) {
    log::info("{} was converted before: {}", gguf.string(), folder.string());
    return folder;
  }
  say(fmt::format("Converting {} into {} (once)", gguf.string(), folder.string()));
  ProgressLine progress("converting");
  try {
    convert_gguf(gguf, folder, [&](std::int64_t done, std::int64_t total) { progress.update(done, total); });
  } catch (const Error&) {
    // Another process may have finished the same folder meanwhile.
    if (!fs::exists(folder / "config.json")) throw;
  }
  return folder;
}

}  // namespace lmdeploy::cli
