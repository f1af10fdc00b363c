// Timestamps and durations between their messages and base types.
#pragma once

#include <google/protobuf/duration.pb.h>
#include <google/protobuf/timestamp.pb.h>

#include <string_view>

#include "absl/status/statusor.h"
#include "libs/base/status.h"
#include "libs/base/time.h"

namespace penstock::broker {

inline void SetTimestamp(WallTime time, google::protobuf::Timestamp* message) {
  const std::int64_t micros = ToUnixMicros(time);
  const std::int64_t seconds = micros >= 0 ? micros / 1'000'000 : (micros - 999'999) / 1'000'000;
  message->set_seconds(seconds);
  message->set_nanos(static_cast<int>((micros - seconds * 1'000'000) * 1'000));
}

inline WallTime FromProto(const google::protobuf::Timestamp& message) {
  return FromUnixMicros(message.seconds() * 1'000'000 + message.nanos() / 1'000);
}

inline void SetDuration(Microseconds duration, google::protobuf::Duration* message) {
  message->set_seconds(duration.count() / 1'000'000);
  message->set_nanos(static_cast<int>(duration.count() % 1'000'000 * 1'000));
}

// Up to a hundred years, not negative; the error names `field`.
inline absl::StatusOr<Microseconds> FromProto(std::string_view field,
                                              const google::protobuf::Duration& message) {
  constexpr std::int64_t kSecondsMax = 100LL * 366 * 86'400;
  if (message.seconds() < 0 || message.seconds() > kSecondsMax || message.nanos() < 0 ||
      message.nanos() > 999'999'999) {
    return FieldError(field, "is out of range: expected a duration that is not negative");
  }
  return Microseconds(message.seconds() * 1'000'000 + message.nanos() / 1'000);
}

}  // namespace penstock::broker
