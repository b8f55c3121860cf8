#pragma once
// The chat page at /chat (and at / of `lmdeploy serve gradio`), its files below /chat/.
#include "server/routes.h"

namespace lmdeploy {

void chat_page(const RouteContext& context, std::shared_ptr<Exchange> exchange);

// The file that a GET of /, /chat or /chat/NAME asks for; 304 where the client has it, 404 where there is
// none. Needs no model.
HttpResponse page_response(const HttpRequest& head);

}  // namespace lmdeploy
