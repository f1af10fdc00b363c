// The strict part of reading a request: finds the end of its head and refuses what parsers read
// differently.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "libs/http/message.h"
#include "libs/http/server.h"

namespace penstock::http {

// Why a request is refused: the HTTP status to answer and what was wrong.
struct Refusal {
  int http_status = 0;
  std::string message;
};

// What the head of a request says.
struct RequestHead {
  std::string method;
  // Origin form; see Request::target.
  std::string target;
  Headers headers;
  bool is_http_1_0 = false;
  // How the body is framed: in chunks, or by its length.
  bool is_chunked = false;
  std::uint64_t content_length = 0;
  // Whether the connection may live on (RFC 9112, 9.3).
  bool keep_alive = false;
  // Whether the client waits for "100 Continue". Of 1.0 it is ignored.
  bool expects_continue = false;

  bool has_body() const { return is_chunked || content_length > 0; }
};

// What of a head only its end decides.
struct HeadFraming {
  bool has_host = false;
  bool has_length = false;
  bool has_close = false;
  bool has_keep_alive = false;
};

// Looks for the end of a request head in bytes that arrive in pieces. Not thread-safe.
class HeadScanner {
 public:
  enum class State { kIncomplete, kComplete, kRefused };

  // `limits` must outlive the scanner.
  explicit HeadScanner(const ServerLimits& limits) : limits_(&limits) {}

  // `input` holds all bytes of this request so far; those seen before are not looked at again.
  // kComplete means that the head is `head_size()` bytes and passed all checks.
  State Scan(std::string_view input);

  std::size_t head_size() const { return line_start_; }
  // After kComplete, to be moved from.
  RequestHead& head() { return head_; }
  const Refusal& refusal() const { return refusal_; }

  // Starts over for the next request.
  void Reset();

 private:
  State Refuse(int http_status, std::string message);
  State CheckSizes(std::string_view input);
  State ReadLine(std::string_view line);
  State Finish();

  const ServerLimits* limits_;
  std::size_t scanned_ = 0;
  std::size_t line_start_ = 0;
  std::size_t lines_ = 0;
  HeadFraming framing_;
  RequestHead head_;
  Refusal refusal_;
};

}  // namespace penstock::http
