#include "tests/unit/libs/h2/frames.h"

namespace penstock::h2 {
namespace {

std::string Number(std::uint32_t value, int bytes) {
  std::string text;
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) {
    text.push_back(static_cast<char>(value >> shift));
  }
  return text;
}

// An HPACK integer with a prefix of seven bits and a string of so many bytes.
std::string RawString(std::string_view text) {
  std::string bytes;
  if (text.size() < 127) {
    bytes.push_back(static_cast<char>(text.size()));
  } else {
    bytes.push_back(127);
    std::size_t left = text.size() - 127;
    for (; left >= 128; left /= 128) bytes.push_back(static_cast<char>(128 + left % 128));
    bytes.push_back(static_cast<char>(left));
  }
  return bytes.append(text);
}

std::uint32_t NumberAt(std::string_view bytes, std::size_t offset, int count) {
  std::uint32_t value = 0;
  for (int i = 0; i < count; ++i) {
    value = (value << 8) | static_cast<std::uint8_t>(bytes[offset + static_cast<std::size_t>(i)]);
  }
  return value;
}

}  // namespace

std::string Frame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream,
                  std::string_view payload) {
  std::string frame = Number(static_cast<std::uint32_t>(payload.size()), 3);
  frame.push_back(static_cast<char>(type));
  frame.push_back(static_cast<char>(flags));
  return frame.append(Number(stream, 4)).append(payload);
}

std::string RawField(std::string_view name, std::string_view value) {
  return std::string(1, '\0') + RawString(name) + RawString(value);
}

std::string RawRequest(std::uint32_t stream, bool end,
                       const std::vector<std::pair<std::string, std::string>>& fields) {
  std::string block = RawField(":method", "POST") + RawField(":scheme", "http") +
                      RawField(":path", "/s/m") + RawField(":authority", "a");
  for (const auto& [name, value] : fields) block += RawField(name, value);
  // More than a frame holds goes on in CONTINUATION.
  constexpr std::size_t kFrameMax = 16 * 1024;
  std::string frames;
  std::uint8_t type = kHeaders;
  std::uint8_t flags = end ? kEndStream : 0;
  while (block.size() > kFrameMax) {
    frames += Frame(type, flags, stream, block.substr(0, kFrameMax));
    block.erase(0, kFrameMax);
    type = 9;
    flags = 0;
  }
  return frames + Frame(type, static_cast<std::uint8_t>(flags | kEndHeaders), stream, block);
}

std::string RawReset(std::uint32_t stream, std::uint32_t code) {
  return Frame(kRstStream, 0, stream, Number(code, 4));
}

std::string RawHello() { return std::string(kPreface) + Frame(kSettings, 0, 0, ""); }

bool HasFrame(std::string_view bytes, std::uint8_t type, std::size_t offset, std::uint32_t code) {
  while (bytes.size() >= 9) {
    const std::size_t size = 9 + NumberAt(bytes, 0, 3);
    if (static_cast<std::uint8_t>(bytes[3]) == type && size >= 9 + offset + 4 &&
        NumberAt(bytes, 9 + offset, 4) == code) {
      return true;
    }
    if (size > bytes.size()) return false;
    bytes.remove_prefix(size);
  }
  return false;
}

}  // namespace penstock::h2
