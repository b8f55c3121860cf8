#include "cli/compatibility.h"

namespace lmdeploy::cli {
namespace {

constexpr auto kFlag = DeclaredOption::Kind::flag;
constexpr auto kValue = DeclaredOption::Kind::value;
constexpr auto kList = DeclaredOption::Kind::list;

constexpr DeclaredOption kEngineAccepted[] = {
    {"--backend", kValue, "turbomind or pytorch: there is one engine here"},
    {"--trust-remote-code", kFlag, "code in a model folder is never run"},
    {"--async", kValue, "steps always overlap with the server's work"},
    {"--communicator", kValue, "nccl, native or cuda-ipc: of no use on one device"},
    {"--num-tokens-per-iter", kValue, "see --max-prefill-token-num"},
    {"--max-prefill-iters", kValue, "see --max-prefill-token-num"},
    {"--kernel-block-size", kValue, "kernels read whole cache blocks"},
    {"--cudagraph-capture-batch-sizes", kList, "graphs are made for the steps that come"},
    {"--vision-max-batch-size", kValue, "of vision models"},
    {"--language-model-only", kFlag, "only language models are loaded"},
    {"--prefix-cache-state-budget", kValue, "of linear-attention models"},
    {"--prefix-cache-decode-state-interval", kValue, "of linear-attention models"},
    {"--enable-microbatch", kFlag, "of mixture-of-experts models on several devices"},
    {"--enable-eplb", kFlag, "of mixture-of-experts models on several devices"},
    {"--distributed-executor-backend", kValue, "of several devices"},
    {"--dist-init-addr", kValue, "of several devices"},
    {"--dp-rank", kValue, "of several devices"},
    {"--migration-backend", kValue, "of split prefill and decode"},
    {"--dllm-block-length", kValue, "of diffusion models"},
    {"--dllm-unmasking-strategy", kValue, "of diffusion models"},
    {"--dllm-denoising-steps", kValue, "of diffusion models"},
    {"--dllm-confidence-threshold", kValue, "of diffusion models"},
    {"--speculative-num-draft-tokens", kValue, "of --speculative-algorithm"},
};

constexpr DeclaredOption kServerAccepted[] = {
    {"--enable-abort-handling", kFlag, "/abort_request is always there: one ends only one's own requests"},
    {"--allowed-media-domains", kList, "nothing is fetched for a request"},
    {"--cap", kValue, "of 0.5.3's template classes; the model's own template is used"},
    {"--qos-config-path", kValue, "removed from LMDeploy in August 2024"},
};

constexpr DeclaredOption kChatAccepted[] = {
    {"--session-id", kValue, "a chat has one session"},
    {"--stream-output", kFlag, "answers are always streamed"},
    {"--cap", kValue, "of 0.5.3's template classes; the model's own template is used"},
};

constexpr DeclaredOption kEngineRestricted[] = {
    {"--tp", kValue, "devices that share each layer"},
    {"--dp", kValue, "copies of the model"},
    {"--ep", kValue, "devices that share the experts"},
    {"--cp", kValue, "devices that share the context"},
    {"--nnodes", kValue, "machines"},
    {"--node-rank", kValue, "index of this machine"},
    {"--adapters", kList, "LoRA folders"},
    {"--use-logn-attn", kFlag, "scale attention by the logarithm of the length"},
    {"--speculative-algorithm", kValue, "guess several tokens a step"},
    {"--speculative-draft-model", kValue, "of --speculative-algorithm"},
    {"--role", kValue, "Hybrid; Prefill and Decode are not built yet"},
    {"--logprobs-mode", kValue, "raw_logits or raw_logprobs"},
    {"--enable-return-routed-experts", kFlag, "experts of each token in the answer"},
};

constexpr DeclaredOption kServerRestricted[] = {
    {"--proxy-url", kValue, "register with a proxy"},
    {"--allow-terminate-by-client", kFlag, "a route that ends the server"},
};

void declare(CLI::App& app, std::span<const DeclaredOption> options, const char* group) {
  for (const DeclaredOption& option : options) {
    CLI::Option* added = option.kind == kFlag ? app.add_flag(option.name) : app.add_option(option.name);
    added->description(option.description)->group(group);
    if (option.kind == kValue) added->option_text("X")->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    if (option.kind == kList)
      added->option_text("X...")->expected(0, CLI::detail::expected_max_vector_size)->allow_extra_args();
  }
}

}  // namespace

void add_accepted_options(CLI::App& app, std::span<const DeclaredOption> options) {
  declare(app, options, "Read for LMDeploy's sake, without effect here");
}

void add_restricted_options(CLI::App& app, std::span<const DeclaredOption> options) {
  declare(app, options, "Known, and refused where not built yet");
}

const std::span<const DeclaredOption> kAcceptedByEngine{kEngineAccepted};
const std::span<const DeclaredOption> kAcceptedByServer{kServerAccepted};
const std::span<const DeclaredOption> kAcceptedByChat{kChatAccepted};
const std::span<const DeclaredOption> kRestrictedByEngine{kEngineRestricted};
const std::span<const DeclaredOption> kRestrictedByServer{kServerRestricted};

}  // namespace lmdeploy::cli
