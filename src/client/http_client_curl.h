#pragma once
// What one exchange through libcurl needs, alone or among many. Private to http_client*.cc.
#include <curl/curl.h>

#include <exception>
#include <memory>

#include "client/http_client.h"

namespace lmdeploy::client {

struct FreeCurl {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
  void operator()(char* text) const { curl_free(text); }
};
struct FreeMulti {  // CURLM and CURL are the same type
  void operator()(CURLM* handle) const { curl_multi_cleanup(handle); }
};
using EasyPtr = std::unique_ptr<CURL, FreeCurl>;
using MultiPtr = std::unique_ptr<CURLM, FreeMulti>;
using ListPtr = std::unique_ptr<curl_slist, FreeCurl>;

// What the callbacks of one exchange write to; stays where it is until the exchange is over.
struct CurlExchange {
  HttpResponse response;
  const BodySink* sink;
  std::exception_ptr exception;  // of the sink; libcurl is C, nothing may fly through it
};

// libcurl wants this before its first use, once per process.
void initialize_curl();

// Makes the handle ready to send. Borrows the request, the exchange and the list of headers that it returns
// until the exchange is over. Throws Error on a malformed URL.
ListPtr set_up_exchange(CURL* easy, const HttpOptions& options, const HttpRequest& request,
                        CurlExchange& exchange);

// The response, with the failure that libcurl's result means. Rethrows what the sink threw.
HttpResponse finish_exchange(CurlExchange& exchange, CURLcode result);

}  // namespace lmdeploy::client
