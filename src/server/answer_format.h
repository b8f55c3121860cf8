#pragma once
#include <string>
#include <string_view>

#include "server/openai_answer.h"

namespace lmdeploy {

// How a route writes its answer. The task that makes the answer knows only chunks; what a whole answer says
// is the fold over the chunks that its stream would have sent.
class AnswerFormat {
 public:
  virtual ~AnswerFormat() = default;

  virtual std::string_view prompt_field() const = 0;  // the request's, for errors about the prompt

  // Bytes of a stream. An empty string: nothing is sent.
  virtual std::string_view stream_type() const { return "text/event-stream; charset=utf-8"; }
  virtual std::string opening(std::int32_t choice_idx) = 0;  // before a choice's first chunk
  virtual std::string chunk(const AnswerChunk& chunk) = 0;
  virtual std::string closing(const AnswerUsage& usage) = 0;
  virtual std::string failure(const ApiError& error) = 0;  // instead of what would follow

  // JSON of a whole answer.
  virtual void fold(const AnswerChunk& chunk) = 0;
  virtual std::string whole(const AnswerUsage& usage) = 0;
};

// Of /v1/chat/completions and /v1/completions.
class OpenAiFormat final : public AnswerFormat {
 public:
  OpenAiFormat(AnswerHead head, std::int32_t num_choices);

  std::string_view prompt_field() const override;
  std::string opening(std::int32_t choice_idx) override;
  std::string chunk(const AnswerChunk& chunk) override;
  std::string closing(const AnswerUsage& usage) override;
  std::string failure(const ApiError& error) override { return sse_error(error); }
  void fold(const AnswerChunk& chunk) override { fold_.add(chunk); }
  std::string whole(const AnswerUsage& usage) override { return fold_.json(head_, usage); }

 private:
  std::string text_event(const AnswerChunk& chunk) const;

  const AnswerHead head_;
  // What is the same in every event of a chunk: up to the choice's index, and behind the choice.
  std::string event_start_, event_end_;
  AnswerFold fold_;
};

}  // namespace lmdeploy
