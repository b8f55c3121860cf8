#include "server/model_routes.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "server/api_error.h"

namespace lmdeploy {
namespace {

using Json = nlohmann::ordered_json;

// As a number with the digits that a reader expects: 0.7, not 0.699999988.
double rounded(float value) {
  return std::stod(fmt::format("{}", value));
}

Json sampling_object(const SamplingParams& sampling) {
  return {{"temperature", rounded(sampling.temperature)},
          {"top_k", sampling.top_k},
          {"top_p", rounded(sampling.top_p)},
          {"min_p", rounded(sampling.min_p)},
          {"typical_p", rounded(sampling.typical_p)},
          {"repetition_penalty", rounded(sampling.repetition_penalty)},
          {"presence_penalty", rounded(sampling.presence_penalty)},
          {"frequency_penalty", rounded(sampling.frequency_penalty)}};
}

Json model_object(const ServedModel& model, const std::string& name) {
  return {{"id", name},
          {"object", "model"},
          {"created", model.created},
          {"owned_by", "lmdeploy"},
          {"root", name},
          {"parent", nullptr},
          {"max_model_len", model.engine.session_len()},
          {"default_sampling_params", sampling_object(model.sampling)},
          {"permission", Json::array()}};
}

// ?ready, ?ready=1, ?ready=true, alone or among others.
bool asks_for_readiness(std::string_view query) {
  while (!query.empty()) {
    const std::string_view field = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(field.size() + 1, query.size()));
    const std::string_view name = field.substr(0, field.find('='));
    if (name == "ready" && !field.ends_with("=0") && !field.ends_with("=false")) return true;
  }
  return false;
}

HttpResponse unavailable(const char* status, const char* message) {
  HttpResponse response = json_response(503, Json{{"status", status}, {"message", message}}.dump());
  response.set("Retry-After", "1");
  return response;
}

}  // namespace

HttpResponse loading_response() {
  return unavailable("loading", "the model is being loaded");
}

void health(const RouteContext& context, std::shared_ptr<Exchange> exchange) {
  if (!context.model.engine.healthy())
    exchange->reply(unavailable("unhealthy", "the model fails to compute; the server's log says why"));
  else if (context.draining && asks_for_readiness(exchange->request().query))
    exchange->reply(unavailable("draining", "the server is shutting down and takes no new requests"));
  else
    exchange->reply(json_response(200, Json{{"status", "ok"}}.dump()));
}

void list_models(const RouteContext& context, std::shared_ptr<Exchange> exchange) {
  Json data = Json::array();
  for (const std::string& name : context.model.names) data.push_back(model_object(context.model, name));
  exchange->reply(json_response(200, Json{{"object", "list"}, {"data", data}}.dump()));
}

void get_model(const RouteContext& context, std::shared_ptr<Exchange> exchange) {
  const std::string name = exchange->request().path.substr(std::string_view("/v1/models/").size());
  const auto& names = context.model.names;
  if (std::find(names.begin(), names.end(), name) == names.end()) throw model_not_found(name, names);
  exchange->reply(json_response(200, model_object(context.model, name).dump()));
}

}  // namespace lmdeploy
