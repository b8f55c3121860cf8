#pragma once
#include <span>
#include <string_view>

namespace lmdeploy {

// A file of the chat page, web/page/dist. The bytes are part of the program: the page needs no network.
struct PageFile {
  std::string_view name;  // "index.html", "chat/page.js"
  std::string_view hash;  // of the bytes
  std::string_view bytes;
  std::string_view gzip_bytes;
};

std::span<const PageFile> page_files();

// nullptr if there is no such file.
const PageFile* find_page_file(std::string_view name);

}  // namespace lmdeploy
