#include "libs/webrpc/gzip.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>

namespace penstock::webrpc {
namespace {

constexpr std::size_t kStepBytes = 16 * 1024;
// zlib's window of 32 KiB, and 16 for gzip's header in place of its own.
constexpr int kWindowBits = 15 + 16;

struct Inflater {
  Inflater() { is_ready = inflateInit2(&stream, kWindowBits) == Z_OK; }
  ~Inflater() {
    if (is_ready) inflateEnd(&stream);
  }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  z_stream stream{};
  bool is_ready = false;
};

}  // namespace

absl::StatusOr<std::string> Gunzip(std::string_view bytes, std::size_t bytes_max) {
  Inflater inflater;
  if (!inflater.is_ready) return absl::ResourceExhaustedError("no memory to decompress");
  z_stream& stream = inflater.stream;
  // zlib does not write to its input.
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  std::string out;
  for (;;) {
    const std::size_t size = out.size();
    // One byte above the limit tells that there is more.
    const std::size_t room = std::min(kStepBytes, bytes_max + 1 - size);
    out.resize(size + room);
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + size);
    stream.avail_out = static_cast<uInt>(room);
    const int result = inflate(&stream, Z_NO_FLUSH);
    out.resize(size + room - stream.avail_out);
    if (out.size() > bytes_max) {
      return absl::ResourceExhaustedError(
          fmt::format("the message has more than {} bytes when decompressed", bytes_max));
    }
    if (result == Z_STREAM_END && stream.avail_in == 0) return out;
    // RFC 1952, 2.2: a file may have several members.
    const bool has_next = result == Z_STREAM_END && inflateReset(&stream) == Z_OK;
    // No progress means that bytes are missing.
    if (result != Z_OK && !has_next)
      return absl::InvalidArgumentError("the message is no gzip, or is cut off");
  }
}

}  // namespace penstock::webrpc
