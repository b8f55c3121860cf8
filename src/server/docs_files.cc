#include "server/docs_files.h"

#include <algorithm>
#include <array>

#include "server/embedded_file.h"

// In web/docs and in the folder of Swagger UI (CMakeLists.txt).
LMDEPLOY_EMBED(lmdeploy_docs_index, "index.html");
LMDEPLOY_EMBED(lmdeploy_docs_start, "start.js");
LMDEPLOY_EMBED(lmdeploy_docs_bundle, "swagger-ui-bundle.js");
LMDEPLOY_EMBED(lmdeploy_docs_style, "swagger-ui.css");

namespace lmdeploy {
namespace {

constexpr std::string_view kHtml = "text/html; charset=utf-8";
constexpr std::string_view kScript = "text/javascript; charset=utf-8";
constexpr std::string_view kStyle = "text/css; charset=utf-8";

const std::array kFiles{
    DocsFile{"index.html", kHtml, {lmdeploy_docs_index_begin, lmdeploy_docs_index_end}},
    DocsFile{"start.js", kScript, {lmdeploy_docs_start_begin, lmdeploy_docs_start_end}},
    DocsFile{"swagger-ui-bundle.js", kScript, {lmdeploy_docs_bundle_begin, lmdeploy_docs_bundle_end}},
    DocsFile{"swagger-ui.css", kStyle, {lmdeploy_docs_style_begin, lmdeploy_docs_style_end}},
};

}  // namespace

const DocsFile* find_docs_file(std::string_view name) {
  const auto* found =
      std::find_if(kFiles.begin(), kFiles.end(), [&](const DocsFile& file) { return file.name == name; });
  return found == kFiles.end() ? nullptr : found;
}

}  // namespace lmdeploy
