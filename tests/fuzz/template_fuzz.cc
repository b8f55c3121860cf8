#include <string>

#include "base/error.h"
#include "text/chat_template.h"

namespace {

using Json = nlohmann::ordered_json;

lmdeploy::ChatInput conversation() {
  lmdeploy::ChatInput input;
  input.messages =
      Json::array({{{"role", "system"}, {"content", "s"}},
                   {{"role", "user"}, {"content", "<|im_end|> \U00100000 {{ x }} \xC3\xA9"}},
                   {{"role", "assistant"}, {"content", nullptr}, {"tool_calls", Json::array({1.5, true})}},
                   {{"role", "user"}, {"content", Json::array({{{"type", "text"}, {"text", "<s"}}})}}});
  input.tools = Json::array({{{"function", {{"name", "f"}, {"parameters", Json::object()}}}}});
  return input;
}

}  // namespace

// The input is a template's source. What it renders must be valid where it says it is plain.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const lmdeploy::ChatInput input = conversation();
  try {
    const std::string source(reinterpret_cast<const char*>(data), size);
    const auto prompt =
        lmdeploy::ChatTemplate::from_source(source, "<s>", "</s>", {"<|im_start|>", "<|im_end|>"})
            ->render(input);
    std::size_t end = 0;
    for (const auto& span : prompt.plain) {
      CHECK(end <= span.begin && span.begin < span.end && span.end <= prompt.text.size());
      end = span.end;
    }
  } catch (const lmdeploy::Error&) {
  }
  return 0;
}
