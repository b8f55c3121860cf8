// make_fuzz_seeds FOLDER: writes FOLDER/{safetensors,config,gguf,convert}/..., small whole files from which
// the fuzzers start.
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "checkpoint/foreign_bytes.h"
#include "convert/tiny_gguf.h"

namespace {

namespace fs = std::filesystem;
using lmdeploy::testing::GgufBuilder;
using lmdeploy::testing::safetensors_file;
using lmdeploy::testing::TinyGguf;

void write(const fs::path& path, const std::string& bytes) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

void write_safetensors(const fs::path& folder) {
  write(folder / "two", safetensors_file(R"({"__metadata__":{"format":"pt"},)"
                                         R"("a":{"dtype":"BF16","shape":[2,3],"data_offsets":[0,12]},)"
                                         R"("b":{"dtype":"F4","shape":[8],"data_offsets":[12,16]}})",
                                         std::string(16, 'x')));
}

void write_configs(const fs::path& folder) {
  const std::string start =
      R"({"architectures":["Qwen2ForCausalLM"],"model_type":"qwen2","vocab_size":320,"hidden_size":64,)"
      R"("intermediate_size":128,"num_hidden_layers":2,"num_attention_heads":4,"num_key_value_heads":2,)"
      R"("max_position_embeddings":256,"eos_token_id":[1,2],)";
  write(folder / "llama3", start +
                               R"("rope_scaling":{"rope_type":"llama3","factor":8.0,"low_freq_factor":1.0,)"
                               R"("high_freq_factor":4.0,"original_max_position_embeddings":8192}})");
  write(folder / "yarn", start + R"("rope_parameters":{"type":"yarn","factor":4,"beta_fast":32,"mscale":1},)"
                                 R"("use_sliding_window":true,"sliding_window":64,"max_window_layers":0,)"
                                 R"("layer_types":["full_attention","sliding_attention"]})");
  write(folder / "awq", start +
                            R"("quantization_config":{"quant_method":"awq","version":"gemm","bits":4,)"
                            R"("group_size":128,"zero_point":true,"modules_to_not_convert":["lm_head"]}})");
  write(folder / "gptq", start + R"("quantization_config":{"quant_method":"gptq","bits":8,"group_size":-1,)"
                                 R"("sym":true,"checkpoint_format":"gptq_v2","dynamic":{"-:mlp":{}}}})");
  write(folder / "compressed",
        start + R"("quantization_config":{"quant_method":"compressed-tensors","format":"int-quantized",)"
                R"("sparsity_config":{},"config_groups":{"a":{"targets":["Linear"],"weights":{"num_bits":8,)"
                R"("type":"int","strategy":"channel","symmetric":true},"input_activations":{"num_bits":8,)"
                R"("type":"int","strategy":"token","dynamic":true}}}}})");
  write(folder / "fp8", start +
                            R"("quantization_config":{"quant_method":"fp8","activation_scheme":"dynamic",)"
                            R"("fmt":"e4m3","weight_block_size":[128,128]}})");
  write(folder / "floats",
        start + R"("quantization_config":{"quant_method":"compressed-tensors","format":"float-quantized",)"
                R"("config_groups":{"a":{"weights":{"num_bits":8,"type":"float","strategy":"block",)"
                R"("block_structure":[64,32]},"input_activations":{"num_bits":8,"type":"float"}}}}})");
  write(folder / "generation",
        R"({"do_sample":true,"temperature":0.7,"top_k":20,"top_p":0.8,"eos_token_id":2})");
}

void write_ggufs(const fs::path& folder) {
  TinyGguf model;
  write(folder / "plain", model.build());
  model.strings["llama.rope.scaling.type"] = "yarn";
  model.floats["llama.rope.scaling.factor"] = 4.0F;
  model.tensors["output.weight"] = {{8, 4}, 1.0F};
  write(folder / "yarn", model.build());
  model.strings.erase("llama.rope.scaling.type");
  model.floats.erase("llama.rope.scaling.factor");
  model.tensors["rope_freqs.weight"] = {{2}, 1.0F};
  model.strings["tokenizer.ggml.model"] = "llama";
  write(folder / "freqs", model.build());
  GgufBuilder types;
  std::uint64_t offset = 0;
  for (const std::uint32_t type : {1U, 2U, 3U, 6U, 7U, 8U, 12U, 13U, 14U, 30U})
    types.add_tensor(std::to_string(type), {256}, type, 1024 * offset++);
  write(folder / "types", types.build(std::string(1024 * offset, 'x')));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: make_fuzz_seeds FOLDER\n");
    return 2;
  }
  const fs::path folder = argv[1];
  write_safetensors(folder / "safetensors");
  write_configs(folder / "config");
  write_ggufs(folder / "gguf");
  write_ggufs(folder / "convert");
}
