#include "server/page_files.h"

#include <algorithm>
#include <array>

#include "server/embedded_file.h"

// What cmake/page_files.cmake has made of web/page/dist.
#include "page_files.inc"

namespace lmdeploy {
namespace {

const std::array kFiles{LMDEPLOY_PAGE_FILES};

}  // namespace

std::span<const PageFile> page_files() {
  return kFiles;
}

const PageFile* find_page_file(std::string_view name) {
  const auto* found =
      std::find_if(kFiles.begin(), kFiles.end(), [&](const PageFile& file) { return file.name == name; });
  return found == kFiles.end() ? nullptr : found;
}

}  // namespace lmdeploy
