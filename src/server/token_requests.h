#pragma once
// Requests about tokens alone, as typed messages: LMDeploy's /v1/encode, vLLM's /tokenize and /detokenize.
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "server/openai.h"

namespace lmdeploy {

struct EncodeRequest {
  std::vector<std::string> input;  // not empty
  bool is_list = false;            // the answer has lists then, also of one
  bool do_preprocess = false;      // each text is a user's message in the chat template
  bool add_bos = true;
};

struct TokenizeRequest {
  std::string model;  // empty: not named
  std::variant<std::string, ChatInput> prompt;
  bool add_special_tokens = true;  // of a string
  bool return_token_strs = false;
};

struct DetokenizeRequest {
  std::string model;  // empty: not named
  std::vector<TokenId> tokens;
};

// Throw ApiError (400). `notes`, where given, gets every field that is asked for.
EncodeRequest parse_encode_request(std::string_view body, const RequestLimits& limits,
                                   std::vector<FieldNote>* notes = nullptr);
TokenizeRequest parse_tokenize_request(std::string_view body, const RequestLimits& limits,
                                       std::vector<FieldNote>* notes = nullptr);
DetokenizeRequest parse_detokenize_request(std::string_view body, const RequestLimits& limits,
                                           std::vector<FieldNote>* notes = nullptr);

}  // namespace lmdeploy
