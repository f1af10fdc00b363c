#include "libs/http/response_writer.h"

#include <fmt/format.h>

#include <ctime>
#include <iterator>

namespace penstock::http {
namespace {

constexpr int kStatusMin = 200;
constexpr int kStatusMax = 999;

// "Date: …" with its CRLF, renewed once a second on each thread.
std::string_view DateField() {
  thread_local std::time_t written_for = -1;
  thread_local char text[48];
  thread_local std::size_t size = 0;
  const std::time_t now = std::time(nullptr);
  if (now != written_for) {
    std::tm parts{};
    gmtime_r(&now, &parts);
    size = std::strftime(text, sizeof(text), "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &parts);
    written_for = now;
  }
  return {text, size};
}

// Fields that describe the connection or the framing: the server's own.
bool IsServersOwn(std::string_view name) {
  switch (name.size()) {
    case 4: return EqualsIgnoreCase(name, "date");
    case 10: return EqualsIgnoreCase(name, "connection") || EqualsIgnoreCase(name, "keep-alive");
    case 14: return EqualsIgnoreCase(name, "content-length");
    case 17: return EqualsIgnoreCase(name, "transfer-encoding");
    default: return false;
  }
}

}  // namespace

bool IsBodiless(int status) { return status < kStatusMin || status == 204 || status == 304; }

bool IsSendable(int status, const Headers& headers) {
  if (status < kStatusMin || status > kStatusMax) return false;
  for (const Headers::Field field : headers) {
    if (!IsValidHeader(field.name, field.value)) return false;
  }
  return true;
}

void AppendResponseHead(std::string& out, int status, const Headers& headers,
                        const ResponseFraming& framing) {
  switch (status) {
    case 200: out += "HTTP/1.1 200 OK\r\n"; break;
    case 202: out += "HTTP/1.1 202 Accepted\r\n"; break;
    default:
      fmt::format_to(std::back_inserter(out), "HTTP/1.1 {} {}\r\n", status, ReasonPhrase(status));
  }
  const bool keeps_date = framing.keeps_date && headers.Has("date");
  if (!keeps_date) out += DateField();
  for (const Headers::Field field : headers) {
    const bool is_kept_date = keeps_date && EqualsIgnoreCase(field.name, "date");
    if (IsServersOwn(field.name) && !is_kept_date) continue;
    out.append(field.name).append(": ").append(field.value).append("\r\n");
  }
  if (framing.content_length.has_value()) {
    const fmt::format_int length(*framing.content_length);
    out.append("Content-Length: ").append(length.data(), length.size()).append("\r\n");
  }
  if (framing.is_chunked) out += "Transfer-Encoding: chunked\r\n";
  if (framing.closes) {
    out += "Connection: close\r\n";
  } else if (framing.is_http_1_0) {
    out += "Connection: keep-alive\r\n";
  }
  out += "\r\n";
}

void AppendTunnelHead(std::string& out, const Headers& headers) {
  out += "HTTP/1.1 101 Switching Protocols\r\n";
  for (const Headers::Field field : headers) {
    out.append(field.name).append(": ").append(field.value).append("\r\n");
  }
  out += "\r\n";
}

void AppendChunkSize(std::string& out, std::size_t size) {
  fmt::format_to(std::back_inserter(out), "{:x}\r\n", size);
}

void AppendChunk(std::string& out, std::string_view bytes) {
  AppendChunkSize(out, bytes.size());
  out.append(bytes).append("\r\n");
}

}  // namespace penstock::http
