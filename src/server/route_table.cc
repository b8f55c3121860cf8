#include "server/route_table.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <set>

#include "server/answer_routes.h"
#include "server/anthropic_routes.h"
#include "server/docs_routes.h"
#include "server/embedding_routes.h"
#include "server/metrics_route.h"
#include "server/model_routes.h"
#include "server/native_routes.h"
#include "server/page_routes.h"
#include "server/responses_routes.h"
#include "server/token_routes.h"

namespace lmdeploy {
namespace {

constexpr auto kKey = Route::Access::key;
constexpr auto kOpen = Route::Access::open;
constexpr auto kNoDocs = &ServerOptions::disable_fastapi_docs;
constexpr auto kNoMetrics = &ServerOptions::disable_metrics;
constexpr auto kNoPage = &ServerOptions::disable_page;

// The next route is a row here, a function in a *_routes.cc, and for a POST its body in openapi_*.cc.
constexpr std::array kRoutes{
    Route{"GET", "/health", kOpen, health,
          "Whether the server can answer; with ?ready also whether it takes requests"},
    Route{"GET", "/v1/models", kKey, list_models, "The names of the model that is served"},
    Route{"GET", "/v1/models/*", kKey, get_model, "One of these names"},
    Route{"POST", "/v1/chat/completions", kKey, chat_completions, "Answer a conversation"},
    Route{"POST", "/v1/completions", kKey, completions, "Continue a text"},
    Route{"POST", "/v1/embeddings", kKey, embeddings, "Texts to vectors"},
    Route{"POST", "/v1/responses", kKey, create_response, "Answer, and keep the answer"},
    Route{"GET", "/v1/responses/*", kKey, get_response, "An answer that was kept"},
    Route{"DELETE", "/v1/responses/*", kKey, delete_response, "Keep an answer no longer"},
    Route{"POST", "/v1/responses/*/cancel", kKey, cancel_response, "End an answer that is being made"},
    Route{"POST", "/v1/messages", kKey, messages, "Answer a conversation, as Anthropic does"},
    Route{"POST", "/v1/messages/count_tokens", kKey, count_message_tokens,
          "How many tokens such a conversation has"},
    Route{"POST", "/generate", kKey, generate_native, "Continue a text or token ids, as LMDeploy does"},
    Route{"POST", "/v1/chat/interactive", kKey, chat_interactive, "A conversation that the server keeps"},
    Route{"POST", "/abort_request", kKey, abort_request, "End answers that are being made"},
    Route{"POST", "/v1/encode", kKey, encode, "Texts to token ids, as LMDeploy does"},
    Route{"POST", "/tokenize", kKey, tokenize, "A text or a conversation to token ids"},
    Route{"POST", "/detokenize", kKey, detokenize, "Token ids to text"},
    Route{"GET", "/metrics", kKey, metrics, "Metrics for Prometheus", "text/plain", kNoMetrics},
    Route{"GET", "/openapi.json", kOpen, openapi, "This document", "application/json", kNoDocs},
    Route{"GET", "/chat", kOpen, chat_page, "A page to chat with the model", "text/html", kNoPage},
    Route{"GET", "/chat/*", kOpen, chat_page, "That page's files", "text/javascript", kNoPage},
    Route{"GET", "/", kOpen, docs_page, "The page that shows this document", "text/html", kNoDocs},
    Route{"GET", "/docs", kOpen, docs_page, "The same page", "text/html", kNoDocs},
    Route{"GET", "/docs/*", kOpen, docs_file, "The page's files", "text/javascript", kNoDocs},
};

constexpr Route kPageAtRoot{"GET", "/", kOpen, chat_page, "A page to chat with the model", "text/html"};

}  // namespace

bool Route::matches(std::string_view path_in) const {
  const std::size_t star = path.find('*');
  if (star == path.npos) return path == path_in;
  const std::string_view prefix = path.substr(0, star), suffix = path.substr(star + 1);
  if (!path_in.starts_with(prefix) || !path_in.ends_with(suffix)) return false;
  if (path_in.size() <= prefix.size() + suffix.size()) return false;
  const std::string_view rest = path_in.substr(prefix.size(), path_in.size() - prefix.size() - suffix.size());
  return suffix.empty() || rest.find('/') == rest.npos;
}

RouteTable::RouteTable(const ServerOptions& options) {
  if (options.page_at_root) routes_.push_back(kPageAtRoot);
  std::copy_if(kRoutes.begin(), kRoutes.end(), std::back_inserter(routes_), [&](const Route& route) {
    return (route.disabled_by == nullptr || !(options.*route.disabled_by)) &&
           !(options.page_at_root && route.path == kPageAtRoot.path);
  });
}

const Route* RouteTable::find(std::string_view path, std::string_view method) const {
  if (method == "HEAD") method = "GET";
  for (const Route& route : routes_)
    if (route.method == method && route.matches(path)) return &route;
  return nullptr;
}

const Route* RouteTable::find_path(std::string_view path) const {
  for (const Route& route : routes_)
    if (route.matches(path)) return &route;
  return nullptr;
}

std::string RouteTable::methods_of(std::string_view path) const {
  std::set<std::string_view> methods;
  for (const Route& route : routes_)
    if (path == "*" || route.matches(path)) methods.insert(route.method);
  if (methods.contains("GET")) methods.insert("HEAD");
  if (!methods.empty()) methods.insert("OPTIONS");
  return fmt::format("{}", fmt::join(methods, ", "));
}

bool RouteTable::is_open(std::string_view path) const {
  const Route* route = find_path(path);
  return route != nullptr && route->access == Route::Access::open;
}

std::string_view RouteTable::pattern_of(std::string_view path) const {
  const Route* route = find_path(path);
  return route == nullptr ? "none" : route->path;
}

}  // namespace lmdeploy
