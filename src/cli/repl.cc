#include "cli/repl.h"

#include "base/error.h"

namespace lmdeploy::cli {
namespace {

namespace fs = std::filesystem;

// What a terminal sends may be no UTF-8: each wrong byte becomes U+FFFD, as JSON demands.
std::string valid_utf8(const std::string& text) {
  using Json = nlohmann::json;
  return Json::parse(Json(text).dump(-1, ' ', false, Json::error_handler_t::replace)).get<std::string>();
}

}  // namespace

Repl::Repl(ReplBackend& backend, ReplTerminal& terminal, ReplOptions options)
    : backend_(backend),
      terminal_(terminal),
      options_(std::move(options)),
      conversation_(valid_utf8(options_.system_message)) {}

void Repl::run() {
  while (!input_ended_) {
    terminal_.prompt();
    std::string message;
    switch (read_message(message)) {
      case Input::message:
        terminal_.remember(message);
        respond(valid_utf8(message));
        break;
      case Input::command:
        terminal_.remember(message);
        obey(*parse_chat_command(message));
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
    const bool is_command = message.empty() && parse_chat_command(line);
    message += (message.empty() ? "" : "\n") + line;
    if (is_command) return Input::command;
  }
}

void Repl::obey(const ChatCommand& command) {
  switch (command.name) {
    case ChatCommand::Name::help:
      return terminal_.note(chat_help());
    case ChatCommand::Name::regen:
      return regenerate();
    case ChatCommand::Name::system:
      return system(command.argument);
    case ChatCommand::Name::save:
      return save(command.argument);
    case ChatCommand::Name::unknown:
      break;
  }
  terminal_.note(
      fmt::format("There is no command {}; there are {}. Nothing was sent: for a message that begins with a "
                  "slash put a space before it.",
                  command.argument, chat_command_list()));
}

bool Repl::respond(const std::string& question) {
  AnswerClock clock;
  const ReplAnswer answer = backend_.answer(
      conversation_.messages_with(question),
      [&](std::string_view text) {
        clock.on_text();
        terminal_.write(text);
      },
      [&] { return terminal_.take_interrupt(); });
  terminal_.write("\n");
  show_end(answer, clock);
  // A question without an answer would leave two user turns in a row, which many templates refuse.
  unanswered_ = answer.text.empty() ? std::optional(question) : std::nullopt;
  if (!unanswered_) conversation_.add({question, answer.text});
  return !unanswered_;
}

void Repl::show_end(const ReplAnswer& answer, const AnswerClock& clock) {
  if (answer.end == ReplAnswer::End::refused) terminal_.note(answer.problem);
  if (answer.end == ReplAnswer::End::stopped) terminal_.note("Stopped.");
  if (answer.end == ReplAnswer::End::length)
    terminal_.note("The answer reached its longest length; `end` starts a new conversation.");
  if (options_.stats && answer.end != ReplAnswer::End::refused)
    terminal_.note(answer_stats(answer.tokens, clock.first(), clock.spread()));
}

void Repl::forget() {
  conversation_.forget();
  unanswered_.reset();
}

void Repl::regenerate() {
  if (unanswered_) {
    respond(std::string(*unanswered_));
    return;
  }
  const std::optional<ChatTurn> last = conversation_.take_last();
  if (!last) return terminal_.note("There is no message yet that could be answered again.");
  if (respond(last->question)) return;
  conversation_.add(*last);
  unanswered_.reset();
  terminal_.note("The earlier answer stays.");
}

void Repl::system(const std::string& text) {
  const std::string& now = conversation_.system_message();
  if (text.empty()) return terminal_.note(now.empty() ? "There is no system prompt." : now);
  conversation_.set_system_message(text == "\"\"" ? std::string() : valid_utf8(text));
  terminal_.note(now.empty() ? "The system prompt is removed." : "The system prompt is set.");
}

void Repl::save(const std::string& name) {
  if (name.empty()) return terminal_.note("/save needs a file: /save chat.json or /save chat.md");
  if (conversation_.empty()) return terminal_.note("There is nothing to save yet.");
  try {
    const fs::path file =
        fs::absolute(name.starts_with("~/") ? options_.home / name.substr(2) : fs::path(name));
    if (!saved_.contains(file) && fs::exists(fs::symlink_status(file)))
      throw Error(fmt::format("{} is there already", file.string()), "Give another name or remove it first.");
    save_messages(conversation_.messages(), file);
    saved_.insert(file);
    terminal_.note(fmt::format("Saved to {}", file.string()));
  } catch (const std::exception& error) {
    terminal_.note(error.what());
  }
}

}  // namespace lmdeploy::cli
