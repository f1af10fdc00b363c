#include "libs/http/request_head.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "libs/http/message.h"

namespace penstock::http {
namespace {

constexpr std::size_t kMethodMax = 32;
// " HTTP/1.1" and the line's end.
constexpr std::size_t kVersionBytes = 11;
// More digits could overflow 64 bits.
constexpr std::size_t kContentLengthDigitsMax = 18;

constexpr std::array<bool, 256> kToken = [] {
  std::array<bool, 256> table{};
  for (int c = '0'; c <= '9'; ++c) table[c] = true;
  for (int c = 'a'; c <= 'z'; ++c) table[c] = table[c - 32] = true;
  for (const char c : std::string_view("!#$%&'*+-.^_`|~")) table[static_cast<int>(c)] = true;
  return table;
}();

bool IsToken(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(),
                                      [](char c) { return kToken[static_cast<unsigned char>(c)]; });
}

bool HasControlByte(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
  });
}

std::string_view TrimSpace(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

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

// What the framing fields of a head say; fields that must not repeat are seen at most once.
struct Framing {
  std::optional<std::string_view> host;
  std::optional<std::string_view> content_length;
  std::optional<std::string_view> transfer_encoding;
};

std::optional<Refusal> CheckHost(std::string_view value, Framing& framing) {
  if (framing.host.has_value()) return BadRequest("Host: given more than once");
  const bool is_good = std::all_of(value.begin(), value.end(), [](char c) {
    return kToken[static_cast<unsigned char>(c)] || c == ':' || c == '[' || c == ']';
  });
  if (!is_good) return BadRequest("Host: expected a host and an optional port");
  framing.host = value;
  return std::nullopt;
}

std::optional<Refusal> CheckContentLength(std::string_view value, Framing& framing) {
  const bool is_number =
      !value.empty() && value.size() <= kContentLengthDigitsMax &&
      std::all_of(value.begin(), value.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!is_number) return BadRequest("Content-Length: expected one decimal number");
  if (framing.content_length.has_value() && *framing.content_length != value) {
    return BadRequest("Content-Length: given more than once with different values");
  }
  framing.content_length = value;
  return std::nullopt;
}

std::optional<Refusal> CheckField(std::string_view line, const RequestLine& request,
                                  Framing& framing) {
  if (line.front() == ' ' || line.front() == '\t') {
    return BadRequest("header: a field may not be folded over lines");
  }
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return BadRequest("header: a field has no ':'");
  const std::string_view name = line.substr(0, colon);
  if (!IsToken(name)) return BadRequest("header: a field name is empty or no token");
  const std::string_view value = TrimSpace(line.substr(colon + 1));
  if (HasControlByte(value)) return BadRequest("header: a field value holds a control byte");
  switch (name.size()) {
    case 4:
      if (EqualsIgnoreCase(name, "host")) return CheckHost(value, framing);
      break;
    case 6:
      if (EqualsIgnoreCase(name, "expect") && !request.is_http_1_0 &&
          !EqualsIgnoreCase(value, "100-continue")) {
        return Refusal{417, "Expect: only 100-continue is known"};
      }
      break;
    case 14:
      if (EqualsIgnoreCase(name, "content-length")) return CheckContentLength(value, framing);
      break;
    case 17:
      if (!EqualsIgnoreCase(name, "transfer-encoding")) break;
      if (framing.transfer_encoding.has_value()) {
        return BadRequest("Transfer-Encoding: given more than once");
      }
      framing.transfer_encoding = value;
      break;
    default: break;
  }
  return std::nullopt;
}

// The authority of an absolute-form target.
std::string_view AuthorityOf(std::string_view target) {
  target.remove_prefix(target.find("//") + 2);
  return target.substr(0, target.find_first_of("/?"));
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
    if (!EqualsIgnoreCase(*framing.transfer_encoding, "chunked")) {
      return Refusal{501, "Transfer-Encoding: only chunked is known"};
    }
  }
  const bool is_absolute = request.target.front() != '/' && request.target != "*";
  if (is_absolute && !EqualsIgnoreCase(AuthorityOf(request.target), framing.host.value_or(""))) {
    return BadRequest("target: an absolute target must name the same host as the Host field");
  }
  return std::nullopt;
}

}  // namespace

void HeadScanner::Reset() { *this = HeadScanner(*limits_); }

HeadScanner::State HeadScanner::Refuse(int http_status, std::string message) {
  refusal_ = {http_status, std::move(message)};
  return State::kRefused;
}

HeadScanner::State HeadScanner::Scan(std::string_view input) {
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
  if (input.empty()) return State::kIncomplete;
  if (!kToken[static_cast<unsigned char>(input.front())]) {
    return Refuse(400, "request line: expected \"METHOD target HTTP/1.1\"");
  }
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
  if (head.size() <= 2) return Refuse(400, "request line: missing");
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
  Framing framing;
  while (rest.size() > 2) {
    if (const auto refusal = CheckField(NextLine(rest), request, framing)) return refuse(*refusal);
  }
  if (const auto refusal = CheckFraming(request, framing)) return refuse(*refusal);
  return State::kComplete;
}

std::string OriginForm(std::string_view target) {
  if (target.front() == '/' || target == "*") return std::string(target);
  target.remove_prefix(target.find("//") + 2);
  const std::size_t end = target.find_first_of("/?");
  if (end == std::string_view::npos) return "/";
  std::string result(target[end] == '/' ? "" : "/");
  result += target.substr(end);
  return result;
}

}  // namespace penstock::http
