#pragma once
// One function per architecture, each in the file of its name; registry.cc lists them. A new architecture is
// a file, a line here and a row there.
#include <memory>

#include "checkpoint/hf_config.h"
#include "model/model.h"
#include "model/registry.h"
#include "model/weight_reader.h"

namespace lmdeploy {

// What a model is built from.
struct ModelSource {
  const HfConfig& config;
  WeightReader& weights;
  const LoadOptions& options;
};

std::unique_ptr<const Model> build_internlm2(const ModelSource& source);
std::unique_ptr<const Model> build_llama(const ModelSource& source);
std::unique_ptr<const Model> build_mistral(const ModelSource& source);
std::unique_ptr<const Model> build_qwen2(const ModelSource& source);
std::unique_ptr<const Model> build_qwen3(const ModelSource& source);

}  // namespace lmdeploy
