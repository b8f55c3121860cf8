#pragma once
#include <string>

#include "checkpoint/gguf.h"
#include "checkpoint/hf_config.h"
#include "convert/architectures.h"

namespace lmdeploy::convert {

// What config.json has to say, from the file's metadata and from which tensors it holds (a head of its own,
// biases, rope_freqs). Throws Error: a key that is missing or out of range, or that changes the arithmetic
// in a way that the architecture's class cannot express.
HfConfig read_model_config(const GgufFile& file, const Architecture& architecture);

// The text of config.json, in the spelling that transformers 4 and 5 both read.
std::string config_json(const HfConfig& config);

}  // namespace lmdeploy::convert
