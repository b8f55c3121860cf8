#include "server/answer_errors.h"

namespace lmdeploy {

ApiError error_of(const Rejected& rejected, std::string param) {
  switch (rejected.reason) {
    case Rejected::Reason::too_long:
      return {400, rejected.message, {.param = std::move(param), .code = "context_length_exceeded"}};
    case Rejected::Reason::queue_full:
      return {429, rejected.message};
    case Rejected::Reason::shutting_down:
    case Rejected::Reason::unhealthy:
      return {503, rejected.message};
    case Rejected::Reason::invalid:
      break;
  }
  return {400, rejected.message, {.param = std::move(param)}};
}

bool is_failure(FinishReason reason) {
  return reason == FinishReason::abort || reason == FinishReason::error || reason == FinishReason::timeout;
}

ApiError error_of(const TextDelta& delta) {
  if (delta.finish_reason == FinishReason::abort) return {503, "the server is shutting down"};
  if (delta.finish_reason == FinishReason::timeout)
    return {504, "the answer took longer than this server allows (--request-timeout)"};
  return {500, delta.error};
}

}  // namespace lmdeploy
