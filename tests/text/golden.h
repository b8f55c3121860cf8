#pragma once
// The files of tests/golden/text and tests/golden/templates, made by tools/make_text_goldens.py.
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

namespace lmdeploy::testing {

inline std::filesystem::path golden(const std::string& name) {
  return std::filesystem::path(LMDEPLOY_SOURCE_DIR) / "tests" / "golden" / name;
}

inline std::string read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

inline nlohmann::ordered_json read_json(const std::filesystem::path& path) {
  return nlohmann::ordered_json::parse(read(path));
}

}  // namespace lmdeploy::testing
