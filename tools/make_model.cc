// Writes a model folder with random weights at a real model's shape.
//
//     make_model SHAPE FOLDER [--layers N] [--arch internlm2|llama] [--format bf16|awq|fp8]
//         [--seed N]
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <exception>
#include <map>

#include "make_model_texts.h"
#include "make_model_weights.h"

namespace {

using lmdeploy::make_model::Form;
using lmdeploy::make_model::Layout;
using lmdeploy::make_model::ModelShape;
using lmdeploy::make_model::Storage;

std::vector<std::string> shape_names() {
  std::vector<std::string> names;
  for (const ModelShape& shape : lmdeploy::make_model::known_shapes()) names.emplace_back(shape.name);
  return names;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Writes a model folder with random weights at a real model's shape."};
  std::string name, folder;
  std::int64_t num_layers = 0;
  std::uint64_t seed = 0;
  Form form;
  app.add_option("shape", name, "the shape")->required()->check(CLI::IsMember(shape_names()));
  app.add_option("folder", folder, "where to write; created where it is missing")->required();
  app.add_option("--layers", num_layers, "layers (default: the shape's)")->check(CLI::Range(1, 1000));
  app.add_option("--arch", form.layout, "names of the tensors; the values are the same")
      ->transform(CLI::CheckedTransformer(
          std::map<std::string, Layout>{{"internlm2", Layout::internlm2}, {"llama", Layout::llama}}));
  app.add_option("--format", form.storage,
                 "the layers' linear weights; awq: in 4 bits, groups of 128; fp8: in 8, blocks of 128 x 128")
      ->transform(CLI::CheckedTransformer(std::map<std::string, Storage>{
          {"bf16", Storage::bf16}, {"awq", Storage::awq}, {"fp8", Storage::fp8}}));
  app.add_option("--seed", seed, "another seed gives other weights");
  CLI11_PARSE(app, argc, argv);

  try {
    ModelShape shape = *lmdeploy::make_model::find_shape(name);
    if (num_layers > 0) shape.num_hidden_layers = num_layers;
    const auto start = std::chrono::steady_clock::now();
    std::filesystem::create_directories(folder);
    lmdeploy::make_model::write_texts(shape, form, folder);
    lmdeploy::ThreadPool pool;
    const std::int64_t bytes = lmdeploy::make_model::write_weights(pool, shape, form, seed, folder);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    fmt::print("{}: {} layers of {}, {:.2f} GB in {:.1f} s\n", folder, shape.num_hidden_layers, name,
               static_cast<double>(bytes) / 1e9, seconds.count());
  } catch (const std::exception& error) {
    fmt::print(stderr, "make_model: {}\n", error.what());
    return 1;
  }
  return 0;
}
