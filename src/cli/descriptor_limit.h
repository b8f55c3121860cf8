#pragma once
#include <cstdint>

namespace lmdeploy::cli {

// Lets the process have as many open files as the system allows it, since each connection takes one. Says so
// in the log where that is too few for `num_connections`: newcomers then wait until others have left.
void raise_descriptor_limit(std::int32_t num_connections);

}  // namespace lmdeploy::cli
