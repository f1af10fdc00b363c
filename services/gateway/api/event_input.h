// Events out of HTTP requests.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/base/time.h"
#include "libs/http/message.h"

namespace penstock::gateway {

struct EventInputLimits {
  // Of one event's payload.
  std::size_t data_bytes_max = 1024 * 1024;
  std::size_t batch_events_max = 256;
  std::size_t batch_bytes_max = 8 * 1024 * 1024;
};

// One event of a request, checked and serialized, or why it is refused.
struct InputEvent {
  std::string id;
  std::string source;
  // io.cloudevents.v1.CloudEvent.
  std::string bytes;
  absl::Status status;
};

struct EventInput {
  // The answer is an array.
  bool batch = false;
  std::vector<InputEvent> events;
};

// How a request that cannot be read is answered: the code of `status`, unless it is too large (413)
// or of a type that is not taken (415).
struct InputError {
  int http_status = 0;  // 0: what the code maps to.
  absl::Status status;
};

// True when the request's Content-Type is one of a batch, which has a higher limit.
bool IsEventBatch(const http::Headers& headers);

// The most bytes that the body of a publish may have.
std::size_t EventBodyLimit(const http::Headers& headers, const EventInputLimits& limits);

// Reads a CloudEvent in binary or structured mode, a batch, or any body with an `Event` header,
// which becomes an event of that type from `/spaces/{space}/http`. Takes the body out of the
// request. Events without an id get one. When it fails, `*error` says how to answer.
bool ReadEvents(http::Request& request, std::string_view space, WallTime now,
                const EventInputLimits& limits, EventInput* input, InputError* error);

// As ReadEvents for a surface where the `Event` header is required.
bool ReadEmit(http::Request& request, std::string_view space, WallTime now,
              const EventInputLimits& limits, EventInput* input, InputError* error);

// The space of a request: the header `Space`, or the default. The error names `Space`.
absl::StatusOr<std::string> SpaceOf(const http::Headers& headers);

}  // namespace penstock::gateway
