#pragma once
// Two kinds of failure, two spellings:
//   Error  the world's fault (a file, a request, a machine): what was expected, what was found, what to do.
//   CHECK  our bug: file, line and values.
// Expected outcomes (no free block, queue full) are return values. Errors are caught at two places only:
// main() and the request boundary of the server.
#include <fmt/format.h>

#include <stdexcept>
#include <string>

namespace lmdeploy {

class Error : public std::runtime_error {
 public:
  // `remedy` is one sentence that tells the user what to do; it may be empty where nothing sensible is known.
  explicit Error(std::string problem, std::string remedy = {});

  const std::string& problem() const noexcept { return problem_; }
  const std::string& remedy() const noexcept { return remedy_; }

 private:
  std::string problem_;
  std::string remedy_;
};

// A bug of ours, thrown by CHECK.
class CheckFailure : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

[[noreturn]] void check_failed(const char* file, int line, const char* condition, const std::string& message);

}  // namespace lmdeploy

// CHECK(cond) or CHECK(cond, "format", args...): throws CheckFailure, also in release builds.
#define CHECK(condition, ...)                                                                  \
  do {                                                                                         \
    if (!(condition)) [[unlikely]]                                                             \
      ::lmdeploy::check_failed(__FILE__, __LINE__, #condition, ::fmt::format("" __VA_ARGS__)); \
  } while (false)
