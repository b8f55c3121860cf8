#pragma once
// Answers of LMDeploy's own routes. Each has one choice.
#include <memory>
#include <vector>

#include "server/answer_format.h"
#include "server/json.h"
#include "server/sessions.h"

namespace lmdeploy {

// /generate: {text, output_ids, meta_info}; a stream's events carry the text and ids that are new.
class GenerateFormat final : public AnswerFormat {
 public:
  explicit GenerateFormat(std::int64_t num_prompt_tokens) : num_prompt_tokens_(num_prompt_tokens) {}

  std::string_view prompt_field() const override { return "prompt"; }
  std::string opening(std::int32_t) override { return {}; }
  std::string chunk(const AnswerChunk& chunk) override;
  std::string closing(const AnswerUsage& usage) override;
  std::string failure(const ApiError& error) override { return sse_error(error); }
  void fold(const AnswerChunk& chunk) override;
  std::string whole(const AnswerUsage& usage) override;

 private:
  Json meta_info(const AnswerChunk& chunk) const;

  const std::int64_t num_prompt_tokens_;
  std::string text_;
  std::vector<TokenId> output_ids_;
  AnswerChunk last_;
};

// /v1/chat/interactive: one JSON object {text, tokens, input_tokens, history_tokens, finish_reason}, in a
// stream one a line. Once the answer is there the session remembers it, or ends.
class InteractiveFormat final : public AnswerFormat {
 public:
  struct Conversation {
    std::unique_ptr<Sessions::Turn> turn;  // null: no session
    Json messages;                         // with the new question
    bool goes_on = false;
    std::int64_t num_prompt_tokens = 0;  // history included
  };
  explicit InteractiveFormat(Conversation conversation) : conversation_(std::move(conversation)) {}

  std::string_view prompt_field() const override { return "prompt"; }
  std::string_view stream_type() const override { return "application/x-ndjson"; }
  std::string opening(std::int32_t) override { return {}; }
  std::string chunk(const AnswerChunk& chunk) override;
  std::string closing(const AnswerUsage& usage) override;
  std::string failure(const ApiError& error) override;
  void fold(const AnswerChunk& chunk) override;
  std::string whole(const AnswerUsage& usage) override;

 private:
  Json object(const std::string& text, const AnswerChunk& chunk) const;
  void remember();

  Conversation conversation_;
  std::string text_;
  AnswerChunk last_;
};

}  // namespace lmdeploy
