#include "libs/rpc/wire_fields.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/strings/escaping.h"
#include "libs/h2/client.h"
#include "libs/rpc/status.h"

namespace penstock::rpc {

MetadataList MetadataOf(const h2::Fields& fields) {
  MetadataList metadata;
  for (const auto& [name, value] : fields) {
    if (name.starts_with(':') || name.starts_with("grpc-") || name == "te" ||
        name == "content-type") {
      continue;
    }
    std::string text(value);
    if (name.ends_with("-bin")) absl::Base64Unescape(std::string(value), &text);
    metadata.emplace_back(std::string(name), std::move(text));
  }
  return metadata;
}

void AddMetadata(const MetadataList& metadata, h2::Fields& fields) {
  for (const auto& [key, value] : metadata) {
    fields.Add(key, key.ends_with("-bin") ? absl::Base64Escape(value) : value);
  }
}

h2::Fields CallHead(std::string_view method, std::string_view authority, const CallOptions& options,
                    std::string_view scheme) {
  const MetadataList metadata = MetadataOf(options);
  h2::Fields head;
  // Room for grpc-timeout too.
  head.Reserve(metadata.size() + 8, 512);
  head.Add(":method", "POST");
  head.Add(":scheme", scheme);
  head.Add(":path", method);
  head.Add(":authority", authority);
  head.Add("te", "trailers");
  head.Add("content-type", "application/grpc");
  head.Add("user-agent", "penstock");
  AddMetadata(metadata, head);
  return head;
}

absl::Status StatusOf(const h2::GrpcStatus& status) {
  return FromGrpcStatus(
      grpc::Status(static_cast<grpc::StatusCode>(status.code), status.message, status.details));
}

std::string WireAddress(std::string_view address) {
  for (const std::string_view other : {"inproc:", "unix:", "unix-abstract:", "ipv4:", "ipv6:"}) {
    if (address.starts_with(other)) return {};
  }
  constexpr std::string_view kDns = "dns:";
  if (address.starts_with(kDns)) {
    address.remove_prefix(kDns.size());
    address.remove_prefix(std::min(address.find_first_not_of('/'), address.size()));
  }
  std::string target(address);
  std::string host;
  std::uint16_t port = 0;
  return h2::SplitAddress(target, host, port) ? target : std::string();
}

}  // namespace penstock::rpc
