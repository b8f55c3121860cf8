#include "cli/command.h"

namespace lmdeploy::cli {
namespace {

constexpr CommandGroup kGroupTable[] = {
    {"serve", "Answer over the network, or talk to a server"},
    {"eval", "Measure a model's quality"},
    {"bench", "Measure speed beside what this machine can do"},
    {"lite", "Make models smaller"},
};

// The next command is one row here, one line in command.h and one file beside this one.
constexpr Command kCommandTable[] = {
    {"", "chat", "Talk to a model in this terminal",
     "lmdeploy chat models/SmolLM2-135M-Instruct\n"
     "lmdeploy chat MODEL --cache-max-entry-count 0.4",
     setup_chat},
    {"", "convert", "Turn a GGUF file into a Hugging Face model folder",
     "lmdeploy convert SmolLM2-135M-Instruct.Q4_1.gguf --work-dir models/SmolLM2-135M-Instruct",
     setup_convert},
    {"", "check_env", "Show this machine, this program and its libraries",
     "lmdeploy check_env --dump-file env.json", setup_check_env},
    {"", "list", "Show the model architectures that are understood", "lmdeploy list", setup_list},
    {"", "plan", "Show what a server would take of the memory, before anything is loaded",
     "lmdeploy plan internlm/internlm2_5-7b-chat --memory 24GB\n"
     "lmdeploy plan MODEL --model-format awq --quant-policy 4 --cache-max-entry-count 0.4 --memory 24GB",
     setup_plan},
    {"serve", "api_server", "OpenAI's HTTP API for a model",
     "lmdeploy serve api_server MODEL --server-port 23333\n"
     "lmdeploy serve api_server MODEL --cache-max-entry-count 4GiB --api-keys KEY1 KEY2",
     setup_serve_api_server},
    {"serve", "api_client", "Talk to a running server in this terminal",
     "lmdeploy serve api_client http://localhost:23333", setup_serve_api_client},
    {"serve", "gradio", "A chat page in the browser",
     "lmdeploy serve gradio http://localhost:23333 --server-name 0.0.0.0 --server-port 6006\n"
     "lmdeploy serve gradio MODEL --server-port 6006",
     setup_serve_gradio},
    {"eval", "compare", "What a model loses against another on a text: perplexity, KL, changed tokens",
     "lmdeploy eval compare MODEL MODEL-4bit --text wiki.test.txt\n"
     "lmdeploy eval compare MODEL --dtype-b float32 --quant-policy-b 4 --text wiki.test.txt --json",
     setup_eval_compare},
    {"eval", "ppl", "Perplexity on a text file",
     "lmdeploy eval ppl MODEL --text wiki.test.txt --max-windows 16", setup_eval_ppl},
    {"bench", "latency", "Time of one batch: first token, every further token",
     "lmdeploy bench latency MODEL --input-len 512 --output-len 128 --batch-size 1", setup_bench_latency},
    {"bench", "throughput", "Tokens per second of many requests at once",
     "lmdeploy bench throughput MODEL --input-len 512 --output-len 128 --num-prompts 32",
     setup_bench_throughput},
    {"bench", "serve", "Load for a server, as `vllm bench serve` reports it",
     "lmdeploy bench serve --base-url http://127.0.0.1:23333 --tokenizer MODEL --num-prompts 200 "
     "--random-input-len 512 --request-rate 8\n"
     "lmdeploy bench serve --tokenizer MODEL --max-concurrency 64 --ignore-eos --metric-percentiles 50,99 "
     "--save-result",
     setup_bench_serve},
    {"lite", "auto_awq", "4-bit weights by AWQ",
     "lmdeploy lite auto_awq MODEL --calib-dataset ptb --w-bits 4 --w-group-size 128 --work-dir OUT",
     setup_lite_auto_awq},
    {"lite", "auto_gptq", "4-bit weights by GPTQ",
     "lmdeploy lite auto_gptq MODEL --calib-dataset ptb --work-dir OUT", setup_lite_auto_gptq},
    {"lite", "calibrate", "Statistics of activations",
     "lmdeploy lite calibrate MODEL --calib-dataset ptb --work-dir OUT", setup_lite_calibrate},
    {"lite", "smooth_quant", "8-bit weights and activations",
     "lmdeploy lite smooth_quant MODEL --work-dir OUT", setup_lite_smooth_quant},
};

}  // namespace

const std::span<const Command> kCommands{kCommandTable};
const std::span<const CommandGroup> kCommandGroups{kGroupTable};

}  // namespace lmdeploy::cli
