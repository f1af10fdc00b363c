#include "tests/contract/gateway/http_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>

namespace penstock::gateway {
namespace {

int Connect(std::uint16_t port) {
  const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(descriptor, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) {
    return descriptor;
  }
  ::close(descriptor);
  return -1;
}

void SendAll(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t sent = ::send(descriptor, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(sent));
  }
}

std::string Dechunked(std::string_view text) {
  std::string body;
  while (true) {
    const std::size_t line = text.find("\r\n");
    std::size_t size = 0;
    if (line == std::string_view::npos) return body;
    std::from_chars(text.data(), text.data() + line, size, 16);
    if (size == 0 || text.size() < line + 2 + size) return body;
    body += text.substr(line + 2, size);
    text.remove_prefix(line + 2 + size + 2);
  }
}

HttpAnswer ParseAnswer(std::string_view text) {
  HttpAnswer answer;
  const std::size_t head_end = text.find("\r\n\r\n");
  if (head_end == std::string_view::npos || text.size() < 12) return answer;
  std::from_chars(text.data() + 9, text.data() + 12, answer.status);
  std::string_view head = text.substr(0, head_end + 2);
  head.remove_prefix(head.find("\r\n") + 2);
  while (!head.empty()) {
    const std::string_view line = head.substr(0, head.find("\r\n"));
    head.remove_prefix(line.size() + 2);
    const std::size_t colon = line.find(": ");
    if (colon == std::string_view::npos) continue;
    answer.headers.emplace_back(line.substr(0, colon), line.substr(colon + 2));
  }
  answer.body = text.substr(head_end + 4);
  if (answer.Header("Transfer-Encoding") == "chunked") answer.body = Dechunked(answer.body);
  return answer;
}

}  // namespace

std::string HttpAnswer::Header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (key.size() == name.size() && strncasecmp(key.data(), name.data(), name.size()) == 0) {
      return value;
    }
  }
  return {};
}

HttpAnswer Ask(std::uint16_t port, const HttpQuestion& question) {
  HttpStream stream(port, question);
  stream.ReadToEnd();
  return ParseAnswer(stream.received());
}

HttpStream::HttpStream(std::uint16_t port, const HttpQuestion& question) : socket_(Connect(port)) {
  std::string text = question.method + " " + question.target + " HTTP/1.1\r\n";
  bool has_host = false;
  bool has_connection = false;
  for (const auto& [name, value] : question.headers) {
    text += name + ": " + value + "\r\n";
    has_host = has_host || name == "Host";
    has_connection = has_connection || name == "Connection";
  }
  if (!has_connection) text += "Connection: close\r\n";
  if (!has_host) text += "Host: 127.0.0.1:" + std::to_string(port) + "\r\n";
  if (!question.body.empty() || question.method == "POST" || question.method == "PATCH") {
    text += "Content-Length: " + std::to_string(question.body.size()) + "\r\n";
  }
  SendAll(socket_, text + "\r\n" + question.body);
}

HttpStream::~HttpStream() { Close(); }

void HttpStream::Close() {
  if (socket_ >= 0) ::close(socket_);
  socket_ = -1;
}

bool HttpStream::ReadSome(std::chrono::steady_clock::time_point deadline) {
  using std::chrono::milliseconds;
  const auto left =
      std::chrono::duration_cast<milliseconds>(deadline - std::chrono::steady_clock::now());
  pollfd waiting{socket_, POLLIN, 0};
  if (left.count() <= 0 || ::poll(&waiting, 1, static_cast<int>(left.count())) <= 0) return false;
  char buffer[16384];
  const ssize_t got = ::recv(socket_, buffer, sizeof(buffer), 0);
  if (got <= 0) return false;
  received_.append(buffer, static_cast<std::size_t>(got));
  return true;
}

bool HttpStream::ReadUntil(std::string_view text) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (received_.find(text) == std::string::npos) {
    if (!ReadSome(deadline)) return false;
  }
  return true;
}

bool HttpStream::ReadToEnd() {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(15);
  while (ReadSome(deadline)) {
  }
  return std::chrono::steady_clock::now() < deadline;
}

}  // namespace penstock::gateway
