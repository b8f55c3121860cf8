#pragma once
#include <nlohmann/json.hpp>

#include "server/answer_format.h"

namespace lmdeploy {

// The answer of /v1/messages: content blocks, in a stream between message_start and message_stop.
class AnthropicFormat final : public AnswerFormat {
 public:
  struct Head {
    std::string id;  // msg_...
    std::string model;
    std::string request_id;              // of the HTTP request, for errors
    std::int64_t num_prompt_tokens = 0;  // the stream's first event tells them
    std::int32_t max_tokens = 0;
  };
  explicit AnthropicFormat(Head head) : head_(std::move(head)) {}

  std::string_view prompt_field() const override { return "messages"; }
  std::string opening(std::int32_t choice_idx) override;
  std::string chunk(const AnswerChunk& chunk) override;
  std::string closing(const AnswerUsage& usage) override;
  std::string failure(const ApiError& error) override;
  void fold(const AnswerChunk& chunk) override { AnthropicFormat::chunk(chunk); }
  std::string whole(const AnswerUsage& usage) override;

 private:
  using Json = nlohmann::ordered_json;

  void emit(const Json& event);
  void begin_block(Json block);
  void add_piece(const char* block_type, const char* delta_type, const char* field, const std::string& piece);
  void add_call(const AnswerCall& call);
  void end_block();
  Json stop_fields() const;

  const Head head_;
  std::string events_;  // that are not taken yet
  Json blocks_ = Json::array();
  bool is_open_ = false;   // the last block
  std::string arguments_;  // of an open tool_use
  AnswerChunk last_;       // how the answer has ended
};

}  // namespace lmdeploy
