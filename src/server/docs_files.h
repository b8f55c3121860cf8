#pragma once
#include <string_view>

namespace lmdeploy {

// A file of the documentation page. The bytes are part of the program: the page needs no network.
struct DocsFile {
  std::string_view name;
  std::string_view content_type;
  std::string_view bytes;
};

// index.html, or what it refers to below docs/; nullptr if there is no such file.
const DocsFile* find_docs_file(std::string_view name);

}  // namespace lmdeploy
