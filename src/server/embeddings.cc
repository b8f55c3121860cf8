#include "server/embeddings.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>

#include "server/base64.h"
#include "server/openai_fields.h"

namespace lmdeploy {
namespace {

// The value of a field that takes one of two words.
std::optional<bool> parse_choice(JsonFields& fields, std::string_view name, std::string_view no,
                                 std::string_view yes) {
  const Json* word = fields.any(name);
  if (word == nullptr) return std::nullopt;
  if (*word != no && *word != yes) fields.fail(name, fmt::format("\"{}\" or \"{}\"", no, yes), *word);
  return *word == yes;
}

std::string embedding_json(std::span<const float> embedding, bool is_base64) {
  if (is_base64) return fmt::format("\"{}\"", base64(std::as_bytes(embedding)));
  return fmt::format("[{}]", fmt::join(embedding, ","));
}

}  // namespace

EmbeddingsRequest parse_embeddings_request(std::string_view body, const RequestLimits& limits,
                                           FieldNotes* notes) {
  const Json json = parse_json(body);
  JsonFields fields(json, "", notes);
  EmbeddingsRequest request;
  request.model = parse_model(fields);
  request.inputs = parse_prompts(fields, "input", limits.max_embedding_inputs, limits);
  request.is_base64 = parse_choice(fields, "encoding_format", "float", "base64").value_or(false);
  if (const auto is_mean = parse_choice(fields, "pooling", "last", "mean"))
    request.pooling = *is_mean ? Pooling::mean : Pooling::last;
  if (const auto count = fields.integer("dimensions", 1, limits.hidden_size))
    request.num_dimensions = static_cast<std::int32_t>(*count);
  fields.string("user");
  fields.refuse_unknown();
  return request;
}

std::vector<float> unit_embedding(std::span<const float> hidden, std::optional<std::int32_t> num_dimensions) {
  if (num_dimensions) hidden = hidden.first(static_cast<std::size_t>(*num_dimensions));
  double sum = 0;
  for (const float value : hidden) sum += static_cast<double>(value) * static_cast<double>(value);
  const double scale = sum > 0 ? 1 / std::sqrt(sum) : 0;
  std::vector<float> unit;
  unit.reserve(hidden.size());
  for (const float value : hidden) unit.push_back(static_cast<float>(static_cast<double>(value) * scale));
  return unit;
}

// Written as text at once: as documents of numbers a few thousand inputs would take gigabytes.
std::string embeddings_json(const EmbeddingsRequest& request, std::span<const std::vector<float>> embeddings,
                            std::int64_t num_prompt_tokens) {
  std::string json = R"({"object":"list","data":[)";
  for (std::size_t i = 0; i < embeddings.size(); ++i)
    fmt::format_to(std::back_inserter(json), R"({}{{"object":"embedding","index":{},"embedding":{}}})",
                   i == 0 ? "" : ",", i, embedding_json(embeddings[i], request.is_base64));
  fmt::format_to(std::back_inserter(json),
                 R"(],"model":{},"usage":{{"prompt_tokens":{},"total_tokens":{}}}}})",
                 dump_json(request.model), num_prompt_tokens, num_prompt_tokens);
  return json;
}

}  // namespace lmdeploy
