#pragma once
// What the server and the terminal chat answer with: the parts that the composition root (cli) has put
// together.
#include <cstdint>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "engine/request.h"
#include "text/chat_template.h"
#include "text/dialect.h"
#include "text/tokenizer.h"

namespace lmdeploy {

class Metrics;

// Borrows everything; the owner outlives the server and every generation.
struct ServedModel {
  std::vector<std::string>
      names;  // what a request's `model` may say; the first is the one that answers carry
  Engine& engine;
  const Tokenizer& tokenizer;
  const ChatTemplate* chat_template = nullptr;  // null: the folder has none, and a chat is refused
  std::vector<TokenId> eos_ids;                 // end an answer unless the request ignores them
  SamplingParams sampling;     // where a request says nothing: generation_config.json's, then OpenAI's
  std::int64_t created = 0;    // unix seconds, for /v1/models
  Metrics* metrics = nullptr;  // null: nothing is counted
  Dialect dialect = {};        // of a chat's answers: tool calls, reasoning
};

}  // namespace lmdeploy
