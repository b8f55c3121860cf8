#pragma once
// GET /openapi.json: OpenAPI 3.1, made of the table of routes and of what the parsers themselves ask for. A
// field's type and range stand in its parser only, its description in openapi_bodies.cc only.
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "server/json.h"
#include "server/openapi_schema.h"
#include "server/request_limits.h"

namespace lmdeploy {

// The body of a POST.
struct BodyDocs {
  std::string_view path;      // of the route
  std::string_view name;      // of the schema
  std::string_view produces;  // what the answer is, beside JSON: the media type of a stream, or empty
  // Bodies that the parser takes and that between them lead it to every field. The first is the one to show.
  std::vector<std::string_view> examples;
  std::string_view answer;  // to the first example, for one to see
  void (*parse)(std::string_view body, const RequestLimits& limits, FieldNotes* notes);
  std::vector<FieldText> texts;
};

// One for each POST of the table of routes that has a body.
std::vector<BodyDocs> all_body_docs();

// The schema of a body: runs the parser over the examples. A field is required where every example has it and
// is refused without it.
Json body_schema(const BodyDocs& docs, const RequestLimits& limits);

struct DocumentedRoute {
  std::string_view method;
  std::string_view path;  // as Route::path
  std::string_view summary;
  std::string_view produces;  // the media type of a GET's answer
  bool needs_key = true;
};

struct OpenApiOptions {
  std::string model_name;
  bool has_api_keys = false;
  RequestLimits limits;
};

std::string openapi_document(std::span<const DocumentedRoute> routes, const OpenApiOptions& options);

}  // namespace lmdeploy
