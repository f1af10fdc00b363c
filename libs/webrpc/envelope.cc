#include "libs/webrpc/envelope.h"

#include <fmt/format.h>

namespace penstock::webrpc {

void AppendEnvelope(std::uint8_t flags, std::string_view message, std::string* out) {
  const auto size = static_cast<std::uint32_t>(message.size());
  out->push_back(static_cast<char>(flags));
  for (int shift = 24; shift >= 0; shift -= 8) out->push_back(static_cast<char>(size >> shift));
  out->append(message);
}

absl::StatusOr<Envelope> OnlyEnvelope(std::string_view body) {
  if (body.empty()) return absl::UnimplementedError("the request has no message; expected one");
  if (body.size() < kPrefixBytes) {
    return absl::InvalidArgumentError(
        fmt::format("the request ends inside a message's prefix: it has {} of {} bytes",
                    body.size(), kPrefixBytes));
  }
  const auto flags = static_cast<std::uint8_t>(body.front());
  if ((flags & ~kCompressed) != 0) {
    return absl::InvalidArgumentError(
        fmt::format("the message has the flags 0x{:02x}; expected 0x00, or 0x01 when it is "
                    "compressed",
                    flags));
  }
  std::uint32_t size = 0;
  for (std::size_t i = 1; i < kPrefixBytes; ++i) {
    size = (size << 8) | static_cast<std::uint8_t>(body[i]);
  }
  body.remove_prefix(kPrefixBytes);
  if (body.size() < size) {
    return absl::InvalidArgumentError(fmt::format(
        "the request ends inside a message: {} of its {} bytes are there", body.size(), size));
  }
  if (body.size() > size) {
    return absl::UnimplementedError(
        fmt::format("{} bytes follow the first message; expected one message, as clients stream "
                    "over gRPC only",
                    body.size() - size));
  }
  return Envelope{(flags & kCompressed) != 0, body};
}

}  // namespace penstock::webrpc
