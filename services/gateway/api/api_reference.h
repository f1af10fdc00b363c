// What the gateway says about its own API: the OpenAPI document, and a page to read it.
#pragma once

#include <memory>
#include <string>

#include "services/gateway/api/http_call.h"

namespace penstock::gateway {

// Serves `/openapi.json` and `/docs`, both part of the program. They say nothing about what is
// stored, and are answered without a key. Immutable, thread-safe.
class ApiReference {
 public:
  ApiReference();

  // Answers GET and HEAD of the two paths, with 304 where the caller has the same text already
  // (If-None-Match). False for everything else.
  bool Handle(const std::shared_ptr<HttpCall>& call) const;

 private:
  const std::string document_tag_;
  const std::string page_tag_;
};

}  // namespace penstock::gateway
