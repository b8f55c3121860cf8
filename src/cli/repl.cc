#include "cli/repl.h"

namespace lmdeploy::cli {
namespace {

// What a terminal sends may be no UTF-8: each wrong byte becomes U+FFFD, as JSON demands.
std::string valid_utf8(const std::string& text) {
  using Json = nlohmann::json;
  return Json::parse(Json(text).dump(-1, ' ', false, Json::error_handler_t::replace)).get<std::string>();
}

}  // namespace

Repl::Repl(ReplBackend& backend, ReplTerminal& terminal, std::string system_message)
    : backend_(backend), terminal_(terminal), system_message_(std::move(system_message)) {
  forget();
}

void Repl::forget() {
  messages_ = nlohmann::ordered_json::array();
  if (!system_message_.empty()) messages_.push_back({{"role", "system"}, {"content", system_message_}});
}

void Repl::run() {
  while (!input_ended_) {
    terminal_.prompt();
    std::string message;
    switch (read_message(message)) {
      case Input::message:
        respond(message);
        break;
      case Input::clear:
        forget();
        terminal_.note("The conversation is forgotten.");
        break;
      case Input::exit:
        return;
      case Input::none:
        break;
    }
  }
}

Repl::Input Repl::read_message(std::string& message) {
  for (std::string line;;) {
    switch (terminal_.read_line(line)) {
      case ReplTerminal::Read::interrupted:
        terminal_.note(message.empty() ? "`exit` or Ctrl-D quits." : "Dropped what was typed.");
        return Input::none;
      case ReplTerminal::Read::end:
        input_ended_ = true;
        return message.empty() ? Input::exit : Input::message;
      case ReplTerminal::Read::line:
        break;
    }
    if (line.empty() && message.empty()) continue;  // also the second enter after a command
    if (line.empty()) return Input::message;
    // The commands work at once, without the second enter.
    if (message.empty() && line == "exit") return Input::exit;
    if (message.empty() && line == "end") return Input::clear;
    message += (message.empty() ? "" : "\n") + line;
  }
}

void Repl::respond(const std::string& message) {
  messages_.push_back({{"role", "user"}, {"content", valid_utf8(message)}});
  const ReplAnswer answer = backend_.answer(
      messages_, [&](std::string_view text) { terminal_.write(text); },
      [&] { return terminal_.take_interrupt(); });
  terminal_.write("\n");
  if (answer.end == ReplAnswer::End::refused) terminal_.note(answer.problem);
  if (answer.end == ReplAnswer::End::stopped) terminal_.note("Stopped.");
  if (answer.end == ReplAnswer::End::length)
    terminal_.note("The answer reached its longest length; `end` starts a new conversation.");
  // A question without an answer would leave two user turns in a row, which many templates refuse.
  if (answer.text.empty())
    messages_.erase(messages_.size() - 1);
  else
    messages_.push_back({{"role", "assistant"}, {"content", answer.text}});
}

}  // namespace lmdeploy::cli
