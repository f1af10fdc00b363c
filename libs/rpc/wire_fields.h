// Metadata as HTTP/2 carries it. For this folder's .cc files only.
#pragma once

#include <cstddef>

#include "libs/h2/fields.h"
#include "libs/rpc/metadata.h"

namespace penstock::rpc {

// A write on a stream counts as done while less than this waits for the peer's window and the
// socket.
inline constexpr std::size_t kWireQueuedMax = 256 * 1024;

// What an application sees of a head or of trailers; "-bin" values decoded.
MetadataList MetadataOf(const h2::Fields& fields);
// The other way round. Keys in lower case.
void AddMetadata(const MetadataList& metadata, h2::Fields& fields);

}  // namespace penstock::rpc
