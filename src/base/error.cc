#include "base/error.h"

namespace lmdeploy {

Error::Error(std::string problem, std::string remedy)
    : std::runtime_error(remedy.empty() ? problem : problem + "\n  " + remedy),
      problem_(std::move(problem)),
      remedy_(std::move(remedy)) {}

void check_failed(const char* file, int line, const char* condition, const std::string& message) {
  throw CheckFailure(fmt::format("{}:{}: CHECK({}) failed{}{}", file, line, condition,
                                 message.empty() ? "" : ": ", message));
}

}  // namespace lmdeploy
