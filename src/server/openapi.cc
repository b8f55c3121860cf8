#include "server/openapi.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/version.h"
#include "server/api_error.h"

namespace lmdeploy {
namespace {

constexpr std::string_view kMessages = R"({
  "type": "array", "minItems": 1,
  "items": {
    "type": "object", "required": ["role"],
    "properties": {
      "role": {"enum": ["system", "developer", "user", "assistant", "tool", "function", "environment"]},
      "content": {"anyOf": [
        {"type": "string"},
        {"type": "array", "items": {
          "type": "object", "required": ["type", "text"],
          "properties": {"type": {"const": "text"}, "text": {"type": "string"}}}}]},
      "name": {"type": "string"},
      "reasoning_content": {"type": "string"},
      "tool_call_id": {"type": "string"},
      "tool_calls": {"type": "array", "items": {
        "type": "object", "required": ["function"],
        "properties": {"id": {"type": "string"}, "type": {"const": "function"}, "function": {
          "type": "object", "required": ["name"],
          "properties": {"name": {"type": "string"}, "arguments": {"type": "string"}}}}}}}}})";

// {"a": {"$ref": "#/components/..."}}
Json reference(std::string_view kind, std::string_view name) {
  return {{"$ref", fmt::format("#/components/{}/{}", kind, name)}};
}

bool takes(const BodyDocs& docs, const Json& body, const RequestLimits& limits) {
  try {
    docs.parse(body.dump(), limits, nullptr);
    return true;
  } catch (const ApiError&) {
    return false;
  }
}

// Of the shown example's fields those without which no example is taken.
std::vector<std::string> required_fields(const BodyDocs& docs, const RequestLimits& limits) {
  const Json shown = Json::parse(docs.examples.front());
  std::vector<std::string> required;
  for (const auto& [name, value] : shown.items()) {
    const bool is_needed =
        std::all_of(docs.examples.begin(), docs.examples.end(), [&](std::string_view text) {
          Json without = Json::parse(text);
          return without.erase(name) > 0 && !takes(docs, without, limits);
        });
    if (is_needed) required.push_back(name);
  }
  return required;
}

Json error_schema() {
  const Json optional_string{{"type", {"string", "null"}}};
  return {{"type", "object"},
          {"required", {"error"}},
          {"properties",
           {{"error",
             {{"type", "object"},
              {"required", {"message", "type", "param", "code"}},
              {"properties",
               {{"message", {{"type", "string"}}},
                {"type", {{"type", "string"}}},
                {"param", optional_string},
                {"code", optional_string}}}}}}}};
}

Json error_response() {
  return {{"description", "An error: what was expected and what was found."},
          {"content", {{"application/json", {{"schema", reference("schemas", "Error")}}}}}};
}

Json media(std::string_view type) {
  const bool is_json = type == "application/json";
  return {{std::string(type), {{"schema", {{"type", is_json ? "object" : "string"}}}}}};
}

// "/v1/models/*" -> "/v1/models/{id}", as OpenAPI writes it.
std::string path_template(std::string_view path) {
  const std::size_t star = path.find('*');
  if (star == path.npos) return std::string(path);
  return fmt::format("{}{{id}}{}", path.substr(0, star), path.substr(star + 1));
}

// In the order in which the page shows them.
constexpr std::array<std::string_view, 4> kTags{"Generation", "Tokens", "Models", "Operation"};

std::string_view tag_of(const DocumentedRoute& route) {
  if (route.path.starts_with("/v1/models")) return "Models";
  if (route.path.starts_with("/v1/responses")) return "Generation";
  if (route.method != "POST") return "Operation";
  const bool is_about_tokens =
      route.path.ends_with("encode") || route.path.ends_with("tokenize") || route.path.ends_with("_tokens");
  return is_about_tokens ? "Tokens" : "Generation";
}

// The body with the name of the model that is served, so that a click on "Execute" works.
Json shown_example(const BodyDocs& docs, const OpenApiOptions& options) {
  Json example = Json::parse(docs.examples.front());
  if (example.contains("model")) example["model"] = options.model_name;
  return example;
}

Json operation(const DocumentedRoute& route, const BodyDocs* body, const OpenApiOptions& options) {
  Json produced = media(body == nullptr ? route.produces : "application/json");
  Json result{{"summary", route.summary}, {"tags", {tag_of(route)}}};
  if (route.path.find('*') != route.path.npos)
    result["parameters"] = {
        {{"name", "id"}, {"in", "path"}, {"required", true}, {"schema", {{"type", "string"}}}}};
  if (body != nullptr) {
    result["requestBody"] = {
        {"required", true},
        {"content",
         {{"application/json",
           {{"schema", reference("schemas", body->name)}, {"example", shown_example(*body, options)}}}}}};
    produced["application/json"]["example"] = Json::parse(body->answer);
    if (!body->produces.empty()) produced.update(media(body->produces));
  }
  result["responses"] = {{"200", {{"description", "OK"}, {"content", std::move(produced)}}},
                         {"default", reference("responses", "Error")}};
  if (!route.needs_key) result["security"] = Json::array();
  return result;
}

}  // namespace

Json body_schema(const BodyDocs& docs, const RequestLimits& limits) {
  FieldNotes notes;
  for (const std::string_view example : docs.examples) docs.parse(example, limits, &notes);
  return object_schema(notes, docs.texts, required_fields(docs, limits));
}

std::string openapi_document(std::span<const DocumentedRoute> routes, const OpenApiOptions& options) {
  const std::vector<BodyDocs> bodies = all_body_docs();
  Json document{{"openapi", "3.1.0"},
                {"info",
                 {{"title", "lmdeploy"},
                  {"version", kVersion},
                  {"description", fmt::format("OpenAI's API in front of `{}`.", options.model_name)}}},
                {"tags", Json::array()},
                {"paths", Json::object()}};
  for (const std::string_view tag : kTags) document["tags"].push_back({{"name", tag}});
  Json components;
  components["schemas"]["Error"] = error_schema();
  components["schemas"]["Messages"] = Json::parse(kMessages);
  components["responses"]["Error"] = error_response();
  if (options.has_api_keys) {
    components["securitySchemes"]["key"] = {{"type", "http"}, {"scheme", "bearer"}};
    document["security"] = Json::array({Json{{"key", Json::array()}}});
  }
  for (const DocumentedRoute& route : routes) {
    const auto body = std::find_if(bodies.begin(), bodies.end(),
                                   [&](const BodyDocs& docs) { return docs.path == route.path; });
    const BodyDocs* docs = body == bodies.end() ? nullptr : &*body;
    std::string method(route.method);
    std::transform(method.begin(), method.end(), method.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    document["paths"][path_template(route.path)][method] = operation(route, docs, options);
    if (docs != nullptr) components["schemas"][std::string(docs->name)] = body_schema(*docs, options.limits);
  }
  document["components"] = std::move(components);
  return document.dump();
}

}  // namespace lmdeploy
