#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/error.h"
#include "base/log.h"
#include "convert/gguf_to_hf.h"

namespace {

namespace fs = std::filesystem;

// In memory where the system has such a place: the converter syncs what it writes.
fs::path working_folder() {
  const fs::path memory = "/dev/shm";
  const fs::path parent = fs::is_directory(memory) ? memory : fs::temp_directory_path();
  return parent / ("lmdeploy-convert-fuzz-" + std::to_string(::getpid()));
}

const fs::path& folder() {
  static const fs::path path = working_folder();
  return path;
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  lmdeploy::init_log("CRITICAL");
  fs::create_directory(folder());
  std::atexit([] {
    std::error_code ignored;
    fs::remove_all(folder(), ignored);
  });
  return 0;
}

// The whole way from a file to a folder. After a refusal no folder may stand there.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fs::path file = folder() / "model.gguf";
  const fs::path out = folder() / "out";
  std::ofstream(file, std::ios::binary)
      .write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
  try {
    lmdeploy::convert_gguf(file, out, {});
    if (!fs::exists(out / "config.json")) std::abort();
  } catch (const lmdeploy::Error&) {
    if (fs::exists(out)) std::abort();
  }
  fs::remove_all(out);
  return 0;
}
