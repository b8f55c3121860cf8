#pragma once
#include <string>

namespace lmdeploy::client {

// The words of a refusal's body: OpenAI's nested form, LMDeploy's flat one, FastAPI's detail, or plain text.
std::string error_message(const std::string& body);

}  // namespace lmdeploy::client
