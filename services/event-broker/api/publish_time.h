// The attributes of an event that say when it is published and until when it counts.
#pragma once

#include <io/cloudevents/v1/cloudevents.pb.h>

#include <optional>

#include "absl/status/statusor.h"
#include "libs/base/time.h"

namespace penstock::broker {

// When the event is to be published: nothing means now, as does a time that has passed. Reads
// `deliverat` (RFC 3339) and `deliverafter` (a duration such as `90s`, `15m` or `1.5h`), which
// exclude each other, and checks `expirytime`. Instead of `deliverafter` the event carries the
// `deliverat` that came of it. Errors name the attribute.
absl::StatusOr<std::optional<WallTime>> ResolveDueTime(WallTime now,
                                                       io::cloudevents::v1::CloudEvent& event);

}  // namespace penstock::broker
