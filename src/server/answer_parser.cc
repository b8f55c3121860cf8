#include "server/answer_parser.h"

namespace lmdeploy {
namespace {

void append(std::vector<ToolCallDelta>& calls, std::vector<ToolCallDelta> more) {
  for (ToolCallDelta& delta : more) {
    const bool goes_on = !calls.empty() && calls.back().call_idx == delta.call_idx;
    if (goes_on)
      calls.back().arguments += delta.arguments;
    else
      calls.push_back(std::move(delta));
  }
}

}  // namespace

AnswerParser::AnswerParser(const AnswerParsing& parsing) {
  if (parsing.reasoning) reasoning_.emplace(*parsing.reasoning);
  if (parsing.calls) calls_.emplace(*parsing.calls);
}

AnswerPieces AnswerParser::feed(std::string_view text) {
  AnswerPieces pieces;
  if (!reasoning_) {
    add(text, pieces);
    return pieces;
  }
  auto [reasoning, rest] = reasoning_->feed(text);
  pieces.reasoning = std::move(reasoning);
  add(rest, pieces);
  return pieces;
}

AnswerPieces AnswerParser::finish() {
  AnswerPieces pieces;
  if (reasoning_) {
    auto [reasoning, rest] = reasoning_->finish();
    pieces.reasoning = std::move(reasoning);
    add(rest, pieces);
  }
  if (!calls_) return pieces;
  auto [content, calls] = calls_->finish();
  pieces.content += content;
  append(pieces.calls, std::move(calls));
  return pieces;
}

void AnswerParser::add(std::string_view rest, AnswerPieces& pieces) {
  if (!calls_) {
    pieces.content += rest;
    return;
  }
  auto [content, calls] = calls_->feed(rest);
  pieces.content += content;
  append(pieces.calls, std::move(calls));
}

}  // namespace lmdeploy
