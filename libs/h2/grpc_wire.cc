#include "libs/h2/grpc_wire.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "absl/strings/escaping.h"
#include "libs/base/percent.h"

namespace penstock::h2 {
namespace {

using std::chrono::microseconds;

constexpr int kCodeMax = 16;
constexpr std::size_t kTimeoutDigitsMax = 8;
// A clock may be asked for the time after it, in nanoseconds.
constexpr std::int64_t kTimeoutMax = 365LL * 24 * 3'600 * 1'000'000;
// What was read is dropped from the buffer's front once it is so much.
constexpr std::size_t kCompactBytes = 64 * 1024;

std::uint32_t SizeAt(std::string_view bytes, std::size_t offset) {
  std::uint32_t size = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    size = (size << 8) | static_cast<std::uint8_t>(bytes[offset + i]);
  }
  return size;
}

}  // namespace

void WriteGrpcPrefix(std::size_t message_bytes, char* out) {
  *out = 0;
  for (int shift = 24; shift >= 0; shift -= 8) {
    *++out = static_cast<char>(static_cast<std::uint32_t>(message_bytes) >> shift);
  }
}

void AppendGrpcMessage(std::string& bytes, std::string_view message, bool is_compressed) {
  char prefix[kGrpcPrefixBytes];
  WriteGrpcPrefix(message.size(), prefix);
  if (is_compressed) prefix[0] = 1;
  bytes.append(prefix, kGrpcPrefixBytes);
  bytes.append(message);
}

absl::StatusOr<std::string_view> OnlyGrpcMessage(std::string_view body) {
  if (body.empty()) return absl::InternalError("the answer has no message");
  if (body.size() < kGrpcPrefixBytes || SizeAt(body, 1) > body.size() - kGrpcPrefixBytes) {
    return absl::InternalError("the answer's message is not complete");
  }
  if (body.front() != 0) {
    return absl::InternalError("the answer's message is compressed, which was not asked for");
  }
  const std::string_view message = body.substr(kGrpcPrefixBytes);
  if (SizeAt(body, 1) < message.size()) {
    return absl::InternalError("the answer has more than one message");
  }
  return message;
}

std::optional<GrpcReader::Message> GrpcReader::Next() {
  if (!error_.ok() || buffer_.size() - read_ < kGrpcPrefixBytes) return std::nullopt;
  const auto flag = static_cast<std::uint8_t>(buffer_[read_]);
  const std::size_t size = SizeAt(buffer_, read_ + 1);
  if (flag > 1) {
    error_ = absl::InternalError(fmt::format("a message begins with the flag {}", flag));
    return std::nullopt;
  }
  if (size > message_bytes_max_) {
    error_ = absl::ResourceExhaustedError(
        fmt::format("a message has {} bytes; at most {}", size, message_bytes_max_));
    return std::nullopt;
  }
  if (buffer_.size() - read_ - kGrpcPrefixBytes < size) return std::nullopt;
  Message message{buffer_.substr(read_ + kGrpcPrefixBytes, size), flag == 1};
  read_ += kGrpcPrefixBytes + size;
  if (read_ == buffer_.size() || read_ > kCompactBytes) {
    buffer_.erase(0, read_);
    read_ = 0;
  }
  return message;
}

std::optional<GrpcStatus> GrpcStatusOf(const Fields& trailers) {
  if (!trailers.Has("grpc-status")) return std::nullopt;
  const std::string_view text = trailers.Get("grpc-status");
  int code = -1;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), code);
  const bool is_known =
      error == std::errc() && stop == text.data() + text.size() && code >= 0 && code <= kCodeMax;
  GrpcStatus status;
  status.code = is_known ? static_cast<absl::StatusCode>(code) : absl::StatusCode::kUnknown;
  status.message = DecodeGrpcMessage(trailers.Get("grpc-message"));
  const std::string_view details = trailers.Get("grpc-status-details-bin");
  absl::Base64Unescape(absl::string_view(details.data(), details.size()), &status.details);
  return status;
}

void AddGrpcStatus(const GrpcStatus& status, Fields& fields) {
  fields.Add("grpc-status", std::to_string(static_cast<int>(status.code)));
  if (!status.message.empty()) fields.Add("grpc-message", EncodeGrpcMessage(status.message));
  if (!status.details.empty()) {
    std::string encoded = absl::Base64Escape(status.details);
    while (encoded.ends_with('=')) encoded.pop_back();
    fields.Add("grpc-status-details-bin", encoded);
  }
}

absl::StatusCode GrpcCodeOf(ErrorCode code) {
  switch (code) {
    case ErrorCode::kRefusedStream:
    case ErrorCode::kConnectionLost: return absl::StatusCode::kUnavailable;
    case ErrorCode::kCancel: return absl::StatusCode::kCancelled;
    case ErrorCode::kEnhanceYourCalm: return absl::StatusCode::kResourceExhausted;
    case ErrorCode::kInadequateSecurity: return absl::StatusCode::kPermissionDenied;
    default: return absl::StatusCode::kInternal;
  }
}

std::optional<microseconds> ParseGrpcTimeout(std::string_view text) {
  if (text.size() < 2 || text.size() > kTimeoutDigitsMax + 1) return std::nullopt;
  std::int64_t value = 0;
  for (const char c : text.substr(0, text.size() - 1)) {
    if (c < '0' || c > '9') return std::nullopt;
    value = 10 * value + (c - '0');
  }
  const auto times = [value](std::int64_t unit) {
    return microseconds(value > kTimeoutMax / unit ? kTimeoutMax : value * unit);
  };
  switch (text.back()) {
    case 'H': return times(3'600'000'000);
    case 'M': return times(60'000'000);
    case 'S': return times(1'000'000);
    case 'm': return times(1'000);
    case 'u': return times(1);
    case 'n': return microseconds((value + 999) / 1'000);
    default: return std::nullopt;
  }
}

std::string FormatGrpcTimeout(microseconds timeout) {
  constexpr std::int64_t kValueMax = 99'999'999;
  constexpr std::pair<std::int64_t, char> kUnits[] = {
      {1, 'u'}, {1'000, 'm'}, {1'000'000, 'S'}, {60'000'000, 'M'}, {3'600'000'000, 'H'}};
  const std::int64_t count = std::max<std::int64_t>(timeout.count(), 0);
  for (const auto& [unit, name] : kUnits) {
    const std::int64_t value = count / unit + (count % unit != 0 ? 1 : 0);
    if (value <= kValueMax) return fmt::format("{}{}", value, name);
  }
  return fmt::format("{}H", kValueMax);
}

std::string EncodeGrpcMessage(std::string_view message) {
  std::string encoded;
  encoded.reserve(message.size());
  for (const char c : message) {
    if (c >= ' ' && c <= '~' && c != '%') {
      encoded.push_back(c);
    } else {
      encoded += fmt::format("%{:02X}", static_cast<std::uint8_t>(c));
    }
  }
  return encoded;
}

std::string DecodeGrpcMessage(std::string_view encoded) { return PercentDecodeLeniently(encoded); }

}  // namespace penstock::h2
