#include "server/page_routes.h"

#include <fmt/format.h>

#include <array>

#include "server/api_error.h"
#include "server/page_files.h"

namespace lmdeploy {
namespace {

// Nothing from elsewhere, no script within the page. KaTeX places its letters with style attributes; they
// cannot load anything, and what a model writes passes a sanitiser.
constexpr const char* kContentSecurityPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'";

struct MediaType {
  std::string_view ending;
  const char* type;
};
constexpr std::array kMediaTypes{MediaType{".html", "text/html; charset=utf-8"},
                                 MediaType{".js", "text/javascript; charset=utf-8"},
                                 MediaType{".css", "text/css; charset=utf-8"},
                                 MediaType{".svg", "image/svg+xml"},
                                 MediaType{".woff2", "font/woff2"},
                                 MediaType{".txt", "text/plain; charset=utf-8"}};

const char* media_type_of(std::string_view name) {
  for (const auto& [ending, type] : kMediaTypes)
    if (name.ends_with(ending)) return type;
  return "application/octet-stream";
}

bool accepts_gzip(const HttpRequest& request) {
  const std::string* encodings = request.header("Accept-Encoding");
  bool accepted = false;
  if (encodings != nullptr)
    for_each_element(*encodings, [&](std::string_view element) {
      const std::string_view name = element.substr(0, element.find_first_of("; "));
      if (name == "gzip")
        accepted = element.find("q=0") == element.npos || element.find("q=0.") != element.npos;
    });
  return accepted;
}

bool has_it(const HttpRequest& request, std::string_view etag) {
  const std::string* known = request.header("If-None-Match");
  bool found = false;
  if (known != nullptr)
    for_each_element(*known, [&](std::string_view element) {
      if (element.starts_with("W/")) element.remove_prefix(2);
      found = found || element == etag || element == "*";
    });
  return found;
}

std::string_view name_of(std::string_view path) {
  return path == "/" || path == "/chat" ? "index.html" : path.substr(1);
}

}  // namespace

HttpResponse page_response(const HttpRequest& head) {
  const PageFile* file = find_page_file(name_of(head.path));
  if (file == nullptr) return ApiError(404, fmt::format("no such route: GET {}", head.path)).response();
  const bool compressed = accepts_gzip(head);
  const std::string etag = fmt::format("\"{}{}\"", file->hash, compressed ? "-gzip" : "");
  HttpResponse response{.status = has_it(head, etag) ? 304 : 200, .headers = {}, .body = {}};
  response.set("ETag", etag);
  response.set("Cache-Control", "no-cache");  // kept, and asked for again by its ETag
  response.set("Vary", "Accept-Encoding");
  response.set("Content-Security-Policy", kContentSecurityPolicy);
  response.set("X-Content-Type-Options", "nosniff");
  response.set("Referrer-Policy", "no-referrer");
  if (response.status == 304) return response;
  response.set("Content-Type", media_type_of(file->name));
  if (compressed) response.set("Content-Encoding", "gzip");
  response.body = compressed ? file->gzip_bytes : file->bytes;
  return response;
}

void chat_page(const RouteContext&, std::shared_ptr<Exchange> exchange) {
  exchange->reply(page_response(exchange->request()));
}

}  // namespace lmdeploy
