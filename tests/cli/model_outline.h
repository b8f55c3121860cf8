#pragma once
#include <filesystem>
#include <string>

#include "cli/outline_folder.h"
#include "make_model_weights.h"

namespace lmdeploy::testing {

// A model that tools/make_model would write, without the data of its weights.
void outline_shape(cli::OutlineFolder& outline, const std::string& shape, const make_model::Form& form);

// The same of a folder that is there: its configuration and index whole, of its weights the headers.
void outline_folder(cli::OutlineFolder& outline, const std::filesystem::path& folder);

}  // namespace lmdeploy::testing
