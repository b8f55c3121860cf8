#include "cli/say.h"

#include <cstdio>

namespace lmdeploy::cli {

void say(const std::string& line) {
  std::fputs((line + "\n").c_str(), stderr);
}

}  // namespace lmdeploy::cli
