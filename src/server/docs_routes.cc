#include "server/docs_routes.h"

#include <fmt/format.h>

#include "server/api_error.h"
#include "server/docs_files.h"

namespace lmdeploy {
namespace {

// Nothing from elsewhere, nothing inline; the images are those within Swagger UI's style sheet.
constexpr const char* kContentSecurityPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

void send_file(Exchange& exchange, const DocsFile& file) {
  HttpResponse response{.status = 200, .headers = {}, .body = std::string(file.bytes)};
  response.set("Content-Type", std::string(file.content_type));
  response.set("Content-Security-Policy", kContentSecurityPolicy);
  response.set("X-Content-Type-Options", "nosniff");
  response.set("Referrer-Policy", "no-referrer");
  response.set("Cache-Control", "no-cache");
  exchange.reply(std::move(response));
}

}  // namespace

void docs_page(const RouteContext&, std::shared_ptr<Exchange> exchange) {
  const DocsFile* page = find_docs_file("index.html");
  CHECK(page != nullptr, "the documentation page is part of the program");
  send_file(*exchange, *page);
}

void docs_file(const RouteContext&, std::shared_ptr<Exchange> exchange) {
  const std::string& path = exchange->request().path;
  const DocsFile* file = find_docs_file(std::string_view(path).substr(std::string_view("/docs/").size()));
  if (file == nullptr) throw ApiError(404, fmt::format("no such route: GET {}", path));
  send_file(*exchange, *file);
}

void openapi(const RouteContext& context, std::shared_ptr<Exchange> exchange) {
  exchange->reply(json_response(200, context.openapi));
}

}  // namespace lmdeploy
