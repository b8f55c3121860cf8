#include <cstdlib>
#include <string>

#include "base/error.h"
#include "base/log.h"
#include "checkpoint/hf_config.h"

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  lmdeploy::init_log("CRITICAL");  // unknown fields warn, and most inputs have them
  return 0;
}

namespace {

template <class Parse>
void expect_value_or_error(Parse parse) {
  try {
    parse();
  } catch (const lmdeploy::Error&) {
  }
}

}  // namespace

// The text as config.json, as generation_config.json, and as --hf-overrides of a good configuration.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::string good =
      R"({"architectures":["LlamaForCausalLM"],"model_type":"llama","vocab_size":9,"hidden_size":8,)"
      R"("intermediate_size":8,"num_hidden_layers":1,"num_attention_heads":2,"max_position_embeddings":9})";
  const std::string text(reinterpret_cast<const char*>(data), size);
  expect_value_or_error([&] {
    const lmdeploy::HfConfig config = lmdeploy::parse_hf_config(text, "input");
    // What the model's code divides by.
    if (config.head_dim < 2 || config.num_key_value_heads < 1 ||
        config.num_attention_heads % config.num_key_value_heads != 0 || config.vocab_size < 1)
      std::abort();
  });
  expect_value_or_error([&] { lmdeploy::parse_generation_config(text, "input"); });
  expect_value_or_error([&] { lmdeploy::parse_hf_config(good, "good", text); });
  return 0;
}
