// Metadata as HTTP/2 carries it. For this folder's .cc files only.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "libs/h2/fields.h"
#include "libs/h2/grpc_wire.h"
#include "libs/rpc/call_options.h"
#include "libs/rpc/metadata.h"

namespace penstock::rpc {

// A write on a stream counts as done while less than this waits for the peer's window and the
// socket.
inline constexpr std::size_t kWireQueuedMax = 256 * 1024;

// What an application sees of a head or of trailers; "-bin" values decoded.
MetadataList MetadataOf(const h2::Fields& fields);
// The other way round. Keys in lower case.
void AddMetadata(const MetadataList& metadata, h2::Fields& fields);

// The head of a call of "/package.Service/Method", with what the options say but for its time.
h2::Fields CallHead(std::string_view method, std::string_view authority, const CallOptions& options,
                    std::string_view scheme = "http");
// What a server ended a call with. Details that do not parse are dropped.
absl::Status StatusOf(const h2::GrpcStatus& status);

// "host:port" of an address as CheckAddress takes it, without "dns:"; empty for those that gRPC's
// library alone reaches: of this process, Unix sockets, and numeric ones with a scheme.
std::string WireAddress(std::string_view address);

}  // namespace penstock::rpc
