// Fields of requests that HTTP clients may give as headers.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "libs/base/status.h"
#include "libs/base/utf8.h"
#include "libs/http/message.h"

namespace penstock::gateway {

// Keeps calls at one version.
inline constexpr char kStickyKey[] = "Penstock-Sticky-Key";
// Makes a call once (draft-ietf-httpapi-idempotency-key-header).
inline constexpr char kIdempotencyKey[] = "Idempotency-Key";

// Fills an empty `field` from the header. INVALID_ARGUMENT naming the header for what protobuf
// cannot hold.
inline absl::Status FillFromHeader(const http::Headers& headers, const char* name,
                                   std::string* field) {
  if (field->empty()) field->assign(headers.Get(name));
  if (IsValidUtf8(*field)) return absl::OkStatus();
  return FieldError(name, "expected printable characters");
}

}  // namespace penstock::gateway
