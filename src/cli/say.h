#pragma once
#include <string>

namespace lmdeploy::cli {

// A line on stderr. fmt::print throws where that is a full disk; a program goes on without its words.
void say(const std::string& line);

}  // namespace lmdeploy::cli
