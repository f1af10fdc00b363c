#include "services/gateway/api/api_reference.h"

#include <fmt/format.h>

#include <string_view>
#include <utility>

#include "libs/base/ids.h"

namespace penstock::embedded {
extern const std::string_view kOpenApiDocument;
extern const std::string_view kReferencePage;
}  // namespace penstock::embedded

namespace penstock::gateway {
namespace {

// The page asks this server alone for anything, and runs what is written in it.
constexpr char kPagePolicy[] =
    "default-src 'none'; connect-src 'self'; script-src 'unsafe-inline'; style-src "
    "'unsafe-inline'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

std::string TagOf(std::string_view text) {
  return fmt::format("\"{}\"", Sha256Hex(text).substr(0, 32));
}

// Whether the caller has the text with this tag. Weak comparison, as RFC 9110 (13.1.2) wants it.
bool HasTag(const http::Headers& headers, std::string_view tag) {
  return headers.HasToken("If-None-Match", tag) || headers.HasToken("If-None-Match", "*") ||
         headers.HasToken("If-None-Match", fmt::format("W/{}", tag));
}

}  // namespace

ApiReference::ApiReference()
    : document_tag_(TagOf(embedded::kOpenApiDocument)),
      page_tag_(TagOf(embedded::kReferencePage)) {}

bool ApiReference::Handle(const std::shared_ptr<HttpCall>& call) const {
  const http::Request& request = call->request;
  if (request.method != "GET" && request.method != "HEAD") return false;
  const bool is_document = request.path() == "/openapi.json";
  if (!is_document && request.path() != "/docs") return false;
  const std::string& tag = is_document ? document_tag_ : page_tag_;
  http::Response response;
  response.headers.Set("ETag", tag);
  // Another release has another text: a cache may keep it, but asks whether it is still the same.
  response.headers.Set("Cache-Control", "public, no-cache");
  if (HasTag(request.headers, tag)) {
    response.status = 304;
  } else {
    response.headers.Set("Content-Type",
                         is_document ? "application/json" : "text/html; charset=utf-8");
    response.headers.Set("X-Content-Type-Options", "nosniff");
    if (!is_document) response.headers.Set("Content-Security-Policy", kPagePolicy);
    response.body = is_document ? embedded::kOpenApiDocument : embedded::kReferencePage;
  }
  call->Respond(std::move(response));
  return true;
}

}  // namespace penstock::gateway
