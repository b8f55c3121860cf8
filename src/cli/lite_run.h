#pragma once
#include "cli/lite_options.h"

namespace lmdeploy::cli {

// Does what was asked for, from the model to the folder; returns the exit status. Ctrl-C ends it with 130 and
// leaves what --resume goes on with. Throws Error.
int run_lite(const LiteOptions& options);

}  // namespace lmdeploy::cli
