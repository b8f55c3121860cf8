#include "server/model_routes.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "server/api_error.h"

namespace lmdeploy {
namespace {

using Json = nlohmann::ordered_json;

Json model_object(const ServedModel& model, const std::string& name) {
  return {{"id", name},
          {"object", "model"},
          {"created", model.created},
          {"owned_by", "lmdeploy"},
          {"root", name},
          {"parent", nullptr},
          {"max_model_len", model.engine.session_len()},
          {"permission", Json::array()}};
}

}  // namespace

void health(const RouteContext& context, std::shared_ptr<Exchange> exchange) {
  if (!context.model.engine.healthy())
    throw ApiError(503, "the model fails to compute; the server's log says why");
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
