#pragma once
// Requests and answers as they pass from one connection to the other.
#include <string>

#include "client/http_client.h"
#include "server/http_message.h"

namespace lmdeploy {

// The request for the server at `upstream` ("http://host:port", perhaps with a path, without a slash at its
// end): all of it but what belongs to the client's connection.
client::HttpRequest forwarded_request(const HttpRequest& request, const std::string& upstream);

// Status and headers of the upstream's answer, but for what belongs to its connection.
HttpResponse forwarded_head(const client::HttpResponse& response);

}  // namespace lmdeploy
