#include "cli/model_outline.h"

#include <cstring>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "checkpoint/safetensors.h"
#include "make_model_plan.h"
#include "make_model_texts.h"

namespace lmdeploy::testing {
namespace {

namespace fs = std::filesystem;

// Padded, so that tensors are aligned: others are copied when they are looked at.
std::string with_length(std::string header) {
  header.resize((header.size() + 7) / 8 * 8, ' ');
  const std::uint64_t length = header.size();
  std::string begin(sizeof length, '\0');
  std::memcpy(begin.data(), &length, sizeof length);
  return begin + header;
}

std::string bytes_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

void outline_shape(cli::OutlineFolder& outline, const std::string& shape, const make_model::Form& form) {
  const make_model::ModelShape* found = make_model::find_shape(shape);
  CHECK(found != nullptr, "no shape {}", shape);
  make_model::write_config(*found, form, outline.path());
  nlohmann::ordered_json header;
  std::int64_t offset = 0;
  for (const make_model::PlannedTensor& tensor : make_model::plan_tensors(*found, form)) {
    const TensorSpec& spec = tensor.spec;
    std::vector<std::int64_t> dims;
    for (int i = 0; i < spec.shape.rank(); i++) dims.push_back(spec.shape[i]);
    const std::int64_t end =
        offset + spec.shape.num_elements() * static_cast<std::int64_t>(dtype_bytes(spec.dtype));
    header[spec.name] = {
        {"dtype", safetensors_spelling(spec.dtype)}, {"shape", dims}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  const std::string begin = with_length(header.dump());
  outline.add_file("model.safetensors", begin, begin.size() + static_cast<std::uint64_t>(offset));
}

void outline_folder(cli::OutlineFolder& outline, const fs::path& folder) {
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string bytes = bytes_of(entry.path());
    std::uint64_t begin_len = bytes.size(), header_len = 0;
    if (entry.path().extension() == ".safetensors") {
      CHECK(bytes.size() > sizeof header_len, "{} has no header", entry.path().string());
      std::memcpy(&header_len, bytes.data(), sizeof header_len);
      begin_len = sizeof header_len + header_len;
    }
    outline.add_file(entry.path().filename(), bytes.substr(0, begin_len), bytes.size());
  }
}

}  // namespace lmdeploy::testing
