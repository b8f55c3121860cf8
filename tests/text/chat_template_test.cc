#include "text/chat_template.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace lmdeploy {
namespace {

constexpr const char* chatml =
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + "
    "'<|im_end|>' + "
    "'\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

TEST(ChatTemplate, RendersChatMl) {
  const auto chat_template = ChatTemplate::from_source(chatml, "<s>", "</s>");
  ChatInput input;
  input.messages = {{{"role", "user"}, {"content", "Hi"}}};
  EXPECT_EQ(chat_template->render(input).text, "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
}

}  // namespace
}  // namespace lmdeploy
