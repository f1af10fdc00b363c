// google.protobuf.Timestamp and Duration as text, to the nanosecond.
#pragma once

#include <google/protobuf/duration.pb.h>
#include <google/protobuf/timestamp.pb.h>

#include <array>
#include <string>
#include <string_view>

namespace penstock::protojson {

// Room for the text of any time or duration.
using TimeBuffer = std::array<char, 32>;

// Parses RFC 3339 with any offset and up to 9 fractional digits, years 1 to 9999. False when
// malformed.
bool ParseTimestampText(std::string_view text, google::protobuf::Timestamp* timestamp);

// Whether `timestamp` is of the years 1 to 9999 and its nanoseconds are in range.
bool IsValidTimestamp(const google::protobuf::Timestamp& timestamp);

// Appends "2026-01-02T03:04:05.678Z" with 0, 3, 6 or 9 fractional digits. False when out of range.
bool AppendTimestampText(const google::protobuf::Timestamp& timestamp, std::string* out);

// The same text in `buffer`; empty when out of range.
std::string_view TimestampText(const google::protobuf::Timestamp& timestamp, TimeBuffer* buffer);

// Parses "1.5s" or "-0.25s": up to 9 fractional digits, at most 315576000000 seconds. False when
// malformed.
bool ParseDurationText(std::string_view text, google::protobuf::Duration* duration);

// Appends "1.500s" with 0, 3, 6 or 9 fractional digits. False when out of range or of mixed signs.
bool AppendDurationText(const google::protobuf::Duration& duration, std::string* out);

// The same text in `buffer`; empty when out of range or of mixed signs.
std::string_view DurationText(const google::protobuf::Duration& duration, TimeBuffer* buffer);

}  // namespace penstock::protojson
