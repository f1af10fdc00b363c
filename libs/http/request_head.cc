#include "libs/http/request_head.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "libs/http/authority.h"
#include "libs/http/grammar.h"
#include "libs/http/message.h"

namespace penstock::http {
namespace {

constexpr std::size_t kMethodMax = 32;
// " HTTP/1.1", the line's CR, and one more.
constexpr std::size_t kVersionBytes = 11;
// What the fields of most requests take.
constexpr std::size_t kFieldsUsual = 16;
constexpr std::size_t kFieldBytesUsual = 1024;
// More digits could overflow 64 bits.
constexpr std::size_t kContentLengthDigitsMax = 18;

std::optional<Refusal> BadRequest(std::string message) { return Refusal{400, std::move(message)}; }

std::optional<Refusal> ReadVersion(std::string_view version, RequestHead& head) {
  if (version == "HTTP/1.1") return std::nullopt;
  if (version == "HTTP/1.0") {
    head.is_http_1_0 = true;
    return std::nullopt;
  }
  const bool is_version = version.size() == 8 && version.substr(0, 5) == "HTTP/" &&
                          version[5] >= '0' && version[5] <= '9' && version[6] == '.' &&
                          version[7] >= '0' && version[7] <= '9';
  if (is_version) return Refusal{505, "only HTTP/1.1 and HTTP/1.0 are spoken here"};
  return BadRequest("request line: expected \"METHOD target HTTP/1.1\" with single spaces");
}

std::optional<Refusal> CheckTarget(const RequestHead& head) {
  const std::string_view target = head.target;
  const bool has_bad_byte = std::any_of(target.begin(), target.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte <= 0x20 || byte >= 0x7f || c == '#';
  });
  if (has_bad_byte) {
    return BadRequest("target: '#', control and non-ASCII bytes must be percent-encoded");
  }
  if (head.method == "CONNECT") return BadRequest("CONNECT is for proxies; this is none");
  if (target.front() == '/' || (target == "*" && head.method == "OPTIONS")) return std::nullopt;
  if (target.size() > 7 && EqualsIgnoreCase(target.substr(0, 7), "http://")) return std::nullopt;
  if (target.size() > 8 && EqualsIgnoreCase(target.substr(0, 8), "https://")) return std::nullopt;
  return BadRequest("target: expected a path that starts with '/'");
}

std::optional<Refusal> ReadRequestLine(std::string_view line, RequestHead& head) {
  const std::size_t method_end = line.find(' ');
  const std::size_t target_end = line.rfind(' ');
  if (method_end == std::string_view::npos || target_end <= method_end + 1) {
    return BadRequest("request line: expected \"METHOD target HTTP/1.1\" with single spaces");
  }
  head.method = line.substr(0, method_end);
  head.target = line.substr(method_end + 1, target_end - method_end - 1);
  if (!IsToken(head.method)) return BadRequest("method: not a token");
  if (std::optional<Refusal> refusal = ReadVersion(line.substr(target_end + 1), head)) {
    return refusal;
  }
  return CheckTarget(head);
}

std::optional<Refusal> ReadHost(std::string_view value, HeadFraming& framing) {
  if (framing.has_host) return BadRequest("Host: given more than once");
  if (!IsAuthority(value)) return BadRequest("Host: expected a host and an optional port");
  framing.has_host = true;
  return std::nullopt;
}

// RFC 9112 (6.3) lets a recipient take "1, 1", and a field that repeats the same number, as that
// number, and RFC 9110 (8.6) lets it refuse both. They are refused: no client needs them, and what
// stands before or behind this server may take them for something else.
std::optional<Refusal> ReadContentLength(std::string_view value, HeadFraming& framing,
                                         RequestHead& head) {
  const bool is_number =
      !value.empty() && value.size() <= kContentLengthDigitsMax &&
      std::all_of(value.begin(), value.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!is_number) return BadRequest("Content-Length: expected one decimal number");
  if (framing.has_length) return BadRequest("Content-Length: given more than once");
  framing.has_length = true;
  for (const char c : value) {
    head.content_length = head.content_length * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return std::nullopt;
}

std::optional<Refusal> ReadTransferEncoding(std::string_view value, RequestHead& head) {
  if (head.is_chunked) return BadRequest("Transfer-Encoding: given more than once");
  if (!EqualsIgnoreCase(value, "chunked")) {
    return BadRequest("Transfer-Encoding: expected exactly \"chunked\"");
  }
  head.is_chunked = true;
  return std::nullopt;
}

void ReadConnection(std::string_view list, HeadFraming& framing) {
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    const std::string_view option = TrimSpace(list.substr(0, comma));
    framing.has_close = framing.has_close || EqualsIgnoreCase(option, "close");
    framing.has_keep_alive = framing.has_keep_alive || EqualsIgnoreCase(option, "keep-alive");
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
}

// Looks at the fields that the server itself obeys.
std::optional<Refusal> ReadKnownField(const Headers::Field& field, HeadFraming& framing,
                                      RequestHead& head) {
  const auto& [name, value] = field;
  switch (name.size()) {
    case 4:
      if (EqualsIgnoreCase(name, "host")) return ReadHost(value, framing);
      break;
    case 6:
      if (!EqualsIgnoreCase(name, "expect") || head.is_http_1_0) break;
      if (!EqualsIgnoreCase(value, "100-continue")) {
        return Refusal{417, "Expect: only 100-continue is known"};
      }
      head.expects_continue = true;
      break;
    case 10:
      if (EqualsIgnoreCase(name, "connection")) ReadConnection(value, framing);
      break;
    case 14:
      if (EqualsIgnoreCase(name, "content-length")) return ReadContentLength(value, framing, head);
      break;
    case 17:
      if (EqualsIgnoreCase(name, "transfer-encoding")) return ReadTransferEncoding(value, head);
      break;
    default: break;
  }
  return std::nullopt;
}

std::optional<Refusal> ReadField(std::string_view line, HeadFraming& framing, RequestHead& head) {
  if (line.front() == ' ' || line.front() == '\t') {
    return BadRequest("header: a field may not be folded over lines");
  }
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return BadRequest("header: a field has no ':'");
  const Headers::Field field{line.substr(0, colon), TrimSpace(line.substr(colon + 1))};
  if (!IsToken(field.name)) return BadRequest("header: a field name is empty or no token");
  if (HasControlByte(field.value)) return BadRequest("header: a field value holds a control byte");
  head.headers.Add(field.name, field.value);
  return ReadKnownField(field, framing, head);
}

// The authority of an absolute-form target ("http://host/path").
std::string_view AuthorityOf(std::string_view target) {
  target.remove_prefix(target.find("//") + 2);
  return target.substr(0, target.find_first_of("/?"));
}

// Rewrites an absolute-form target to origin form.
std::string OriginForm(std::string_view target) {
  if (target.front() == '/' || target == "*") return std::string(target);
  target.remove_prefix(target.find("//") + 2);
  const std::size_t end = target.find_first_of("/?");
  if (end == std::string_view::npos) return "/";
  std::string result(target[end] == '/' ? "" : "/");
  result += target.substr(end);
  return result;
}

std::optional<Refusal> CheckFraming(const HeadFraming& framing, const RequestHead& head) {
  if (!framing.has_host && !head.is_http_1_0) return BadRequest("Host: missing");
  if (head.is_chunked) {
    if (framing.has_length) {
      return BadRequest("Transfer-Encoding and Content-Length exclude each other");
    }
    if (head.is_http_1_0) return BadRequest("Transfer-Encoding: not part of HTTP/1.0");
  }
  if (head.target.front() == '/' || head.target == "*") return std::nullopt;
  const std::string_view authority = AuthorityOf(head.target);
  // Only 1.0 may leave Host out.
  const bool is_good = framing.has_host ? EqualsIgnoreCase(authority, head.headers.Get("host"))
                                        : IsAuthority(authority);
  if (is_good) return std::nullopt;
  return BadRequest("target: an absolute target must name the same host as the Host field");
}

}  // namespace

void HeadScanner::Reset() { *this = HeadScanner(*limits_); }

HeadScanner::State HeadScanner::Refuse(int http_status, std::string message) {
  refusal_ = {http_status, std::move(message)};
  return State::kRefused;
}

// Each check looks at a line that is whole, or refuses all that may follow what it has seen. So the
// verdict is the same however the bytes are split.
HeadScanner::State HeadScanner::Scan(std::string_view input) {
  if (input.empty()) return State::kIncomplete;
  if (!IsTokenByte(input.front())) {
    return Refuse(400, "request line: expected \"METHOD target HTTP/1.1\"");
  }
  while (true) {
    const std::size_t newline = input.find('\n', scanned_);
    if (CheckSizes(input.substr(0, newline)) == State::kRefused) return State::kRefused;
    if (newline == std::string_view::npos) {
      scanned_ = input.size();
      return State::kIncomplete;
    }
    if (newline == line_start_ || input[newline - 1] != '\r') {
      return Refuse(400, "header: lines must end in CRLF");
    }
    const std::string_view line = input.substr(line_start_, newline - 1 - line_start_);
    line_start_ = scanned_ = newline + 1;
    if (line.empty()) return Finish();
    if (lines_ == 0) {
      head_.headers.Reserve(kFieldsUsual, std::min(input.size() - line_start_, kFieldBytesUsual));
    }
    if (ReadLine(line) == State::kRefused) return State::kRefused;
  }
}

// `input` is a part of the head that has no LF behind line_start_.
HeadScanner::State HeadScanner::CheckSizes(std::string_view input) {
  if (lines_ == 0) {
    const std::size_t method_end = std::min(input.find(' '), input.size());
    if (method_end > kMethodMax) return Refuse(400, "method: longer than 32 bytes");
    // Whichever of the two limits a growing line meets first.
    const std::size_t line_bytes_max = method_end + 1 + limits_->target_bytes_max + kVersionBytes;
    if (method_end < input.size() && line_bytes_max < limits_->header_bytes_max &&
        input.size() >= line_bytes_max) {
      return Refuse(414, fmt::format("target: longer than {} bytes", limits_->target_bytes_max));
    }
  }
  if (input.size() >= limits_->header_bytes_max) {
    return Refuse(431, fmt::format("header: longer than {} bytes", limits_->header_bytes_max));
  }
  return State::kIncomplete;
}

HeadScanner::State HeadScanner::ReadLine(std::string_view line) {
  // The first line is the request line.
  if (lines_++ > limits_->header_fields_max) {
    return Refuse(431, fmt::format("header: more than {} fields", limits_->header_fields_max));
  }
  if (line.find('\r') != std::string_view::npos) {
    return Refuse(400, "header: a CR must be followed by LF");
  }
  const std::optional<Refusal> refusal =
      lines_ == 1 ? ReadRequestLine(line, head_) : ReadField(line, framing_, head_);
  if (refusal.has_value()) return Refuse(refusal->http_status, refusal->message);
  if (head_.target.size() > limits_->target_bytes_max) {
    return Refuse(414, fmt::format("target: longer than {} bytes", limits_->target_bytes_max));
  }
  return State::kIncomplete;
}

HeadScanner::State HeadScanner::Finish() {
  if (const auto refusal = CheckFraming(framing_, head_)) {
    return Refuse(refusal->http_status, refusal->message);
  }
  head_.target = OriginForm(head_.target);
  head_.keep_alive = !framing_.has_close && (!head_.is_http_1_0 || framing_.has_keep_alive);
  return State::kComplete;
}

}  // namespace penstock::http
