// Cross-origin resource sharing: which pages of other origins may call, and what they may see.
#pragma once

#include <memory>

#include "libs/http/message.h"
#include "services/gateway/domain/web_guard.h"

namespace penstock::gateway {

// Adds to an answer what lets a page of an allowed origin read it; nothing where no origin is
// allowed.
void AddCors(const WebGuard& guard, const http::Headers& request, http::Headers* answer);

// The answer to a browser that asks whether a page may make a request; false when the request is no
// such question, or its origin is not allowed. It needs no key, as browsers send none.
bool AnswersPreflight(const WebGuard& guard, const http::Request& request, http::Response* answer);

}  // namespace penstock::gateway
