#pragma once
#include <functional>
#include <nlohmann/json.hpp>

#include "server/answer_format.h"

namespace lmdeploy {

// The answer of /v1/responses: output items, in a stream between response.created and the event of its end.
class ResponsesFormat final : public AnswerFormat {
 public:
  using Json = nlohmann::ordered_json;
  // Called once, with the whole response and what it says as a message of a conversation, null where nothing
  // can follow.
  using OnEnd = std::function<void(const Json& response, const Json& message)>;

  // `response`: as it is before anything was generated.
  ResponsesFormat(Json response, OnEnd on_end) : response_(std::move(response)), on_end_(std::move(on_end)) {}

  std::string_view prompt_field() const override { return "input"; }
  std::string opening(std::int32_t choice_idx) override;
  std::string chunk(const AnswerChunk& chunk) override;
  std::string closing(const AnswerUsage& usage) override;
  std::string failure(const ApiError& error) override;
  void fold(const AnswerChunk& chunk) override { ResponsesFormat::chunk(chunk); }
  std::string whole(const AnswerUsage& usage) override;

 private:
  enum class Item : std::uint8_t { none, reasoning, message, call };

  void begin(Item kind, Json item);
  void begin_part(Json part);
  void add_reasoning(const std::string& piece);
  void add_text(const std::string& piece);
  void add_call(const AnswerCall& call);
  void end_item();
  Json end_part();
  void end(const AnswerUsage& usage);
  void emit(std::string_view type, Json fields);
  void emit_of_item(std::string_view type, Json fields);
  std::string take_events();

  Json response_;
  OnEnd on_end_;
  std::string events_;  // that are not taken yet
  std::int64_t sequence_number_ = 0;
  Item kind_ = Item::none;  // of the item that is being made
  Json item_;
  std::string text_;                     // of its part, or its arguments
  Json logprobs_ = Json::array();        // of its part
  std::vector<AnswerToken> new_tokens_;  // whose log probabilities come with the next text
  AnswerChunk sum_;                      // of all chunks
};

// A response before its first token: `echo` has the fields that it takes from its request.
nlohmann::ordered_json new_response(const std::string& id, const std::string& model,
                                    const nlohmann::ordered_json& echo);

}  // namespace lmdeploy
