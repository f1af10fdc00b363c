// Writes the heads of answers and the frames of chunked bodies.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "libs/http/message.h"

namespace penstock::http {

struct ResponseFraming {
  // Declares this length. With neither this nor `is_chunked` the body, if any, ends with the
  // connection.
  std::optional<std::uint64_t> content_length;
  bool is_chunked = false;
  bool closes = false;
  bool is_http_1_0 = false;
  // A Date among the fields is sent in place of the present one.
  bool keeps_date = false;
};

// Appends status line, fields, Date, framing and the empty line to `out`. Fields that the server
// sets itself are left out.
void AppendResponseHead(std::string& out, int status, const Headers& headers,
                        const ResponseFraming& framing);

// Appends the head of a 101 answer with exactly these fields.
void AppendTunnelHead(std::string& out, const Headers& headers);

// Appends the line before the bytes of a chunk of this size.
void AppendChunkSize(std::string& out, std::size_t size);

// Appends `bytes` (not empty) as one chunk.
void AppendChunk(std::string& out, std::string_view bytes);

// Whether an answer with `status` has no body by definition.
bool IsBodiless(int status);

// Whether all fields can be sent without breaking the framing, and the status is a final one.
bool IsSendable(int status, const Headers& headers);

}  // namespace penstock::http
