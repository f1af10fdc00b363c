// gRPC's protocol over HTTP/2 (PROTOCOL-HTTP2.md of gRPC): messages, status, timeouts. Nothing here
// knows streams or sockets.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/h2/fields.h"
#include "libs/h2/stream.h"

namespace penstock::h2 {

// What precedes each message: a flag (1: compressed) and the size.
inline constexpr std::size_t kGrpcPrefixBytes = 5;

// Writes the prefix of a message that is not compressed to kGrpcPrefixBytes bytes at `out`.
void WriteGrpcPrefix(std::size_t message_bytes, char* out);

// Appends a message with its prefix.
void AppendGrpcMessage(std::string& bytes, std::string_view message, bool is_compressed = false);

// The message of a complete body that has to be exactly one, not compressed. INTERNAL otherwise.
absl::StatusOr<std::string_view> OnlyGrpcMessage(std::string_view body);

// Takes a body apart into messages, whatever pieces it comes in.
class GrpcReader {
 public:
  // Larger messages are RESOURCE_EXHAUSTED.
  explicit GrpcReader(std::size_t message_bytes_max) : message_bytes_max_(message_bytes_max) {}

  struct Message {
    std::string bytes;
    bool is_compressed = false;
  };

  void Append(std::string_view bytes) { buffer_.append(bytes); }
  // The next message if it is complete. Sets error() and gives nothing when the body is malformed
  // or a message too large; gives nothing ever after.
  std::optional<Message> Next();
  const absl::Status& error() const { return error_; }
  // True when the body may end here.
  bool is_between_messages() const { return buffer_.size() == read_; }

 private:
  const std::size_t message_bytes_max_;
  std::string buffer_;
  std::size_t read_ = 0;
  absl::Status error_;
};

struct GrpcStatus {
  absl::StatusCode code = absl::StatusCode::kOk;
  std::string message;
  // A serialized google.rpc.Status; may be empty.
  std::string details;
};

// grpc-status, grpc-message and grpc-status-details-bin. Nothing when there is no grpc-status; an
// unknown code is UNKNOWN.
std::optional<GrpcStatus> GrpcStatusOf(const Fields& trailers);
// Adds the three to trailers, or to the head of an answer that is nothing but its status.
void AddGrpcStatus(const GrpcStatus& status, Fields& fields);

// What a stream's end without grpc-status means.
absl::StatusCode GrpcCodeOf(ErrorCode code);

// "100m" and so on: at most eight digits and a unit of H, M, S, m, u, n. Nothing when malformed.
// Rounded up to microseconds; cut at a year.
std::optional<std::chrono::microseconds> ParseGrpcTimeout(std::string_view text);
// The shortest unit that fits, rounded up; never negative.
std::string FormatGrpcTimeout(std::chrono::microseconds timeout);

// Percent-encoding of grpc-message.
std::string EncodeGrpcMessage(std::string_view message);
std::string DecodeGrpcMessage(std::string_view encoded);

}  // namespace penstock::h2
