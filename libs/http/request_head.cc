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
// " HTTP/1.1" and the line's end.
constexpr std::size_t kVersionBytes = 11;
// More digits could overflow 64 bits.
constexpr std::size_t kContentLengthDigitsMax = 18;

// Cuts the next line off `text`, without its CRLF, which is known to be there.
std::string_view NextLine(std::string_view& text) {
  const std::size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end - 1);
  text.remove_prefix(end + 1);
  return line;
}

std::optional<Refusal> BadRequest(std::string message) { return Refusal{400, std::move(message)}; }

struct RequestLine {
  std::string_view method;
  std::string_view target;
  bool is_http_1_0 = false;
};

std::optional<Refusal> CheckVersion(std::string_view version, RequestLine& line) {
  if (version == "HTTP/1.1") return std::nullopt;
  if (version == "HTTP/1.0") {
    line.is_http_1_0 = true;
    return std::nullopt;
  }
  const bool is_version = version.size() == 8 && version.substr(0, 5) == "HTTP/" &&
                          version[5] >= '0' && version[5] <= '9' && version[6] == '.' &&
                          version[7] >= '0' && version[7] <= '9';
  if (is_version) return Refusal{505, "only HTTP/1.1 and HTTP/1.0 are spoken here"};
  return BadRequest("request line: expected \"METHOD target HTTP/1.1\" with single spaces");
}

std::optional<Refusal> CheckTarget(const RequestLine& line) {
  const std::string_view target = line.target;
  const bool has_bad_byte = std::any_of(target.begin(), target.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte <= 0x20 || byte >= 0x7f || c == '#';
  });
  if (has_bad_byte) {
    return BadRequest("target: '#', control and non-ASCII bytes must be percent-encoded");
  }
  if (line.method == "CONNECT") return BadRequest("CONNECT is for proxies; this is none");
  if (target.front() == '/' || (target == "*" && line.method == "OPTIONS")) return std::nullopt;
  if (target.size() > 7 && EqualsIgnoreCase(target.substr(0, 7), "http://")) return std::nullopt;
  if (target.size() > 8 && EqualsIgnoreCase(target.substr(0, 8), "https://")) return std::nullopt;
  return BadRequest("target: expected a path that starts with '/'");
}

std::optional<Refusal> CheckRequestLine(std::string_view text, RequestLine& line) {
  const std::size_t method_end = text.find(' ');
  const std::size_t target_end = text.rfind(' ');
  if (method_end == std::string_view::npos || target_end <= method_end + 1) {
    return BadRequest("request line: expected \"METHOD target HTTP/1.1\" with single spaces");
  }
  line.method = text.substr(0, method_end);
  line.target = text.substr(method_end + 1, target_end - method_end - 1);
  if (!IsToken(line.method)) return BadRequest("method: not a token");
  if (line.method.size() > kMethodMax) return BadRequest("method: longer than 32 bytes");
  if (std::optional<Refusal> refusal = CheckVersion(text.substr(target_end + 1), line)) {
    return refusal;
  }
  return CheckTarget(line);
}

// What the fields about framing and routing say, each of them given at most once.
struct Framing {
  std::optional<std::string_view> host;
  std::optional<std::string_view> content_length;
  std::optional<std::string_view> transfer_encoding;
  bool has_close = false;
  bool has_keep_alive = false;
  bool expects_continue = false;
};

std::optional<Refusal> CheckHost(std::string_view value, Framing& framing) {
  if (framing.host.has_value()) return BadRequest("Host: given more than once");
  if (!IsAuthority(value)) return BadRequest("Host: expected a host and an optional port");
  framing.host = value;
  return std::nullopt;
}

// RFC 9112 (6.3) lets a recipient take "1, 1", and a field that repeats the same number, as that
// number, and RFC 9110 (8.6) lets it refuse both. They are refused: no client needs them, and what
// stands before or behind this server may take them for something else.
std::optional<Refusal> CheckContentLength(std::string_view value, Framing& framing) {
  const bool is_number =
      !value.empty() && value.size() <= kContentLengthDigitsMax &&
      std::all_of(value.begin(), value.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!is_number) return BadRequest("Content-Length: expected one decimal number");
  if (framing.content_length.has_value()) {
    return BadRequest("Content-Length: given more than once");
  }
  framing.content_length = value;
  return std::nullopt;
}

std::optional<Refusal> CheckTransferEncoding(std::string_view value, Framing& framing) {
  if (framing.transfer_encoding.has_value()) {
    return BadRequest("Transfer-Encoding: given more than once");
  }
  if (!EqualsIgnoreCase(value, "chunked")) {
    return BadRequest("Transfer-Encoding: expected exactly \"chunked\"");
  }
  framing.transfer_encoding = value;
  return std::nullopt;
}

void ReadConnection(std::string_view list, Framing& framing) {
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    const std::string_view option = TrimSpace(list.substr(0, comma));
    framing.has_close = framing.has_close || EqualsIgnoreCase(option, "close");
    framing.has_keep_alive = framing.has_keep_alive || EqualsIgnoreCase(option, "keep-alive");
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
}

// Looks at the fields that the server itself obeys.
std::optional<Refusal> CheckKnownField(const Headers::Field& field, const RequestLine& request,
                                       Framing& framing) {
  const auto& [name, value] = field;
  switch (name.size()) {
    case 4:
      if (EqualsIgnoreCase(name, "host")) return CheckHost(value, framing);
      break;
    case 6:
      if (!EqualsIgnoreCase(name, "expect") || request.is_http_1_0) break;
      if (!EqualsIgnoreCase(value, "100-continue")) {
        return Refusal{417, "Expect: only 100-continue is known"};
      }
      framing.expects_continue = true;
      break;
    case 10:
      if (EqualsIgnoreCase(name, "connection")) ReadConnection(value, framing);
      break;
    case 14:
      if (EqualsIgnoreCase(name, "content-length")) return CheckContentLength(value, framing);
      break;
    case 17:
      if (EqualsIgnoreCase(name, "transfer-encoding")) return CheckTransferEncoding(value, framing);
      break;
    default: break;
  }
  return std::nullopt;
}

std::optional<Refusal> ReadField(std::string_view line, const RequestLine& request,
                                 Framing& framing, Headers& headers) {
  if (line.front() == ' ' || line.front() == '\t') {
    return BadRequest("header: a field may not be folded over lines");
  }
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return BadRequest("header: a field has no ':'");
  const Headers::Field field{line.substr(0, colon), TrimSpace(line.substr(colon + 1))};
  if (!IsToken(field.name)) return BadRequest("header: a field name is empty or no token");
  if (HasControlByte(field.value)) return BadRequest("header: a field value holds a control byte");
  headers.Add(field.name, field.value);
  return CheckKnownField(field, request, framing);
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

std::optional<Refusal> CheckFraming(const RequestLine& request, const Framing& framing) {
  if (!framing.host.has_value() && !request.is_http_1_0) {
    return BadRequest("Host: missing");
  }
  if (framing.transfer_encoding.has_value()) {
    if (framing.content_length.has_value()) {
      return BadRequest("Transfer-Encoding and Content-Length exclude each other");
    }
    if (request.is_http_1_0) return BadRequest("Transfer-Encoding: not part of HTTP/1.0");
  }
  if (request.target.front() == '/' || request.target == "*") return std::nullopt;
  const std::string_view authority = AuthorityOf(request.target);
  // Only 1.0 may leave Host out.
  const bool is_good = framing.host.has_value() ? EqualsIgnoreCase(authority, *framing.host)
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

HeadScanner::State HeadScanner::Scan(std::string_view input) {
  if (input.empty()) return State::kIncomplete;
  if (!IsTokenByte(input.front())) {
    return Refuse(400, "request line: expected \"METHOD target HTTP/1.1\"");
  }
  while (true) {
    const std::size_t newline = input.find('\n', scanned_);
    if (newline == std::string_view::npos) {
      scanned_ = input.size();
      return CheckPartial(input);
    }
    if (newline == 0 || input[newline - 1] != '\r') {
      return Refuse(400, "header: lines must end in CRLF");
    }
    scanned_ = newline + 1;
    if (newline >= limits_->header_bytes_max) return CheckPartial(input.substr(0, newline));
    if (newline - 1 == line_start_) {
      head_size_ = newline + 1;
      return CheckComplete(input.substr(0, head_size_));
    }
    line_start_ = newline + 1;
    // The first line is the request line.
    if (++fields_ > limits_->header_fields_max + 1) {
      return Refuse(431, fmt::format("header: more than {} fields", limits_->header_fields_max));
    }
  }
}

HeadScanner::State HeadScanner::CheckPartial(std::string_view input) {
  if (line_start_ == 0) {
    const std::size_t method_end = input.find(' ');
    if (std::min(method_end, input.size()) > kMethodMax) {
      return Refuse(400, "method: longer than 32 bytes");
    }
    if (input.size() > method_end + 1 + limits_->target_bytes_max + kVersionBytes) {
      return Refuse(414, fmt::format("target: longer than {} bytes", limits_->target_bytes_max));
    }
  }
  if (input.size() >= limits_->header_bytes_max) {
    return Refuse(431, fmt::format("header: longer than {} bytes", limits_->header_bytes_max));
  }
  return State::kIncomplete;
}

HeadScanner::State HeadScanner::CheckComplete(std::string_view head) {
  const auto refuse = [this](const Refusal& refusal) {
    return Refuse(refusal.http_status, refusal.message);
  };
  // Every LF is known to follow a CR; as many CRs as LFs means there is none alone.
  if (std::count(head.begin(), head.end(), '\r') != std::count(head.begin(), head.end(), '\n')) {
    return Refuse(400, "header: a CR must be followed by LF");
  }
  std::string_view rest = head;
  RequestLine request;
  if (const auto refusal = CheckRequestLine(NextLine(rest), request)) return refuse(*refusal);
  if (request.target.size() > limits_->target_bytes_max) {
    return Refuse(414, fmt::format("target: longer than {} bytes", limits_->target_bytes_max));
  }
  head_ = RequestHead();
  Framing framing;
  while (rest.size() > 2) {
    const auto refusal = ReadField(NextLine(rest), request, framing, head_.headers);
    if (refusal) return refuse(*refusal);
  }
  if (const auto refusal = CheckFraming(request, framing)) return refuse(*refusal);
  head_.method = request.method;
  head_.target = OriginForm(request.target);
  head_.is_http_1_0 = request.is_http_1_0;
  head_.is_chunked = framing.transfer_encoding.has_value();
  for (const char digit : framing.content_length.value_or(std::string_view())) {
    head_.content_length = head_.content_length * 10 + static_cast<std::uint64_t>(digit - '0');
  }
  head_.keep_alive = !framing.has_close && (!request.is_http_1_0 || framing.has_keep_alive);
  head_.expects_continue = framing.expects_continue;
  return State::kComplete;
}

}  // namespace penstock::http
