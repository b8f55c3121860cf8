#pragma once
// OpenAI's requests for embeddings as typed messages, and their answer.
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "server/openai.h"

namespace lmdeploy {

struct EmbeddingsRequest {
  std::string model;
  std::vector<Prompt> inputs;                  // not empty
  std::optional<Pooling> pooling;              // where it says nothing the server's holds
  std::optional<std::int32_t> num_dimensions;  // the first of the model's; empty: all
  bool is_base64 = false;                      // of f32, little-endian; otherwise a list of numbers
};

// Throws ApiError (400). `notes`, where given, gets every field that is asked for.
EmbeddingsRequest parse_embeddings_request(std::string_view body, const RequestLimits& limits,
                                           std::vector<FieldNote>* notes = nullptr);

// The first `num_dimensions` (empty: all) at a length of 1; zeros stay zeros.
std::vector<float> unit_embedding(std::span<const float> hidden, std::optional<std::int32_t> num_dimensions);

// The whole answer. embeddings: one for each input, in order.
std::string embeddings_json(const EmbeddingsRequest& request, std::span<const std::vector<float>> embeddings,
                            std::int64_t num_prompt_tokens);

}  // namespace lmdeploy
