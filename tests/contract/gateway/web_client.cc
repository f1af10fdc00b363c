#include "tests/contract/gateway/web_client.h"

#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "libs/webrpc/envelope.h"
#include "libs/webrpc/text.h"

namespace penstock::gateway {

std::string Framed(std::string_view message, std::uint8_t flags) {
  std::string out;
  webrpc::AppendEnvelope(flags, message, &out);
  return out;
}

std::vector<WebFrame> FramesIn(std::string_view body) {
  std::vector<WebFrame> frames;
  while (body.size() >= webrpc::kPrefixBytes) {
    std::size_t size = 0;
    for (std::size_t i = 1; i < 5; ++i) size = size << 8 | static_cast<std::uint8_t>(body[i]);
    if (body.size() - 5 < size) break;
    frames.push_back({static_cast<std::uint8_t>(body[0]), std::string(body.substr(5, size))});
    body.remove_prefix(5 + size);
  }
  return frames;
}

std::string FromText(std::string_view text) {
  std::string bytes;
  EXPECT_TRUE(webrpc::DecodeText(text, &bytes)) << text;
  return bytes;
}

std::string ToText(std::string_view bytes) {
  return absl::Base64Escape(absl::string_view(bytes.data(), bytes.size()));
}

}  // namespace penstock::gateway
