// A small blocking HTTP client over plain sockets: what it sends is what the test wrote.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace penstock::gateway {

using HeaderList = std::vector<std::pair<std::string, std::string>>;

struct HttpAnswer {
  // 0 when there was no answer.
  int status = 0;
  HeaderList headers;
  std::string body;

  // The first header of this name, without case; empty without one.
  std::string Header(std::string_view name) const;
};

struct HttpQuestion {
  std::string method = "GET";
  std::string target = "/";
  HeaderList headers;
  std::string body;
};

// Sends one request to 127.0.0.1 and reads its answer to the end; gives up after 15 s.
HttpAnswer Ask(std::uint16_t port, const HttpQuestion& question);

// A connection whose answer does not end.
class HttpStream {
 public:
  HttpStream(std::uint16_t port, const HttpQuestion& question);
  ~HttpStream();
  HttpStream(const HttpStream&) = delete;
  HttpStream& operator=(const HttpStream&) = delete;

  // Reads until what has come contains `text`; false at the end of the stream, and after 10 s.
  bool ReadUntil(std::string_view text);
  // Reads to the end of the stream; false after 10 s.
  bool ReadToEnd();
  const std::string& received() const { return received_; }
  // The client goes away.
  void Close();

 private:
  bool ReadSome(std::chrono::steady_clock::time_point deadline);

  int socket_ = -1;
  std::string received_;
};

}  // namespace penstock::gateway
