#include "server/answer_report.h"

#include <fmt/format.h>

#include <algorithm>

namespace lmdeploy {

double sent_ms(const AnswerReport& report, double total_ms) {
  const RequestTimings& engine = report.engine;
  const double before =
      report.received_ms + engine.queued_ms + engine.prefill_ms + engine.decode_ms + engine.preempted_ms;
  return std::max(0.0, total_ms - before);
}

namespace {

// One list of names for both spellings.
template <typename Write>
void visit(const AnswerReport& report, double total_ms, const Write& write) {
  const RequestTimings& engine = report.engine;
  write("received", "_ms", report.received_ms);
  write("queued", "_ms", engine.queued_ms);
  write("prefill", "_ms", engine.prefill_ms);
  write("decode", "_ms", engine.decode_ms);
  write("sampled", "_ms", engine.sampled_ms);
  write("preempted", "_ms", engine.preempted_ms);
  write("sent", "_ms", sent_ms(report, total_ms));
  write("total", "_ms", total_ms);
  write("cached", "_tokens", engine.num_cached_tokens);
  write("computed", "_tokens", engine.num_computed_tokens);
  write("preemptions", "", engine.num_preemptions);
}

std::string text_of(double milliseconds, int num_decimals) {
  return fmt::format("{:.{}f}", milliseconds, num_decimals);
}
std::string text_of(std::int32_t count, int) {
  return fmt::format("{}", count);
}

}  // namespace

std::string timings_text(const AnswerReport& report, double total_ms) {
  std::string text;
  visit(report, total_ms, [&](const char* name, const char*, auto value) {
    text += fmt::format("{}{}={}", text.empty() ? "" : " ", name, text_of(value, 1));
  });
  return text;
}

std::string timings_json(const AnswerReport& report, double total_ms) {
  std::string json;
  visit(report, total_ms, [&](const char* name, const char* unit, auto value) {
    json += fmt::format("{}\"{}{}\":{}", json.empty() ? "{" : ",", name, unit, text_of(value, 3));
  });
  return json + "}";
}

}  // namespace lmdeploy
