#pragma once
#include <optional>
#include <span>

#include "checkpoint/gguf.h"
#include "checkpoint/hf_config.h"

namespace lmdeploy::convert {

// llama.cpp stores Llama 3's rope scaling as the tensor rope_freqs: what each of the head_dim / 2 frequencies
// is divided by. config.json wants the four parameters from which it was made.
//
// The divisors depend on low_freq_factor, high_freq_factor and the original context only through two ratios,
// so they are given with Llama's own low_freq_factor = 1. The parameters found reproduce every divisor within
// 1e-4, else the result is empty. Divisors that are all 1 mean no scaling: rope_type stays "default".
std::optional<RopeConfig> recover_llama3_rope(std::span<const float> divisors, double rope_theta);

// Puts the parameters into config.rope. Throws Error: a misshapen tensor, divisors of another kind, a second
// scaling beside them.
void apply_rope_freqs(const GgufFile& file, const GgufTensor& freqs, HfConfig& config);

}  // namespace lmdeploy::convert
