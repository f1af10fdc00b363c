// A publisher for benchmarks: events at random times around a steady rate, whatever the answers
// take.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fmt/format.h"
#include "libs/http/response_reader.h"

namespace penstock::testing {
namespace {

using Steady = std::chrono::steady_clock;

constexpr std::chrono::seconds kAnswersMax{30};
constexpr std::size_t kReadBytes = 4096;
constexpr std::size_t kAnswerBytesMax = 64 * 1024;

struct Options {
  std::uint16_t port = 0;
  double rate = 1000;
  double seconds = 5;
  int connections = 32;
  std::size_t payload_bytes = 256;
  std::string type = "load.item";
  std::string prefix = "l";
  std::string space = "default";
  std::uint64_t seed = 1;
};

[[noreturn]] void Fail(const std::string& what) {
  fmt::print(stderr, "event_source: {}\n", what);
  std::exit(1);
}

std::int64_t MicrosSinceEpoch(Steady::time_point at) {
  const auto age = Steady::now() - at;
  return std::chrono::duration_cast<std::chrono::microseconds>(
             (std::chrono::system_clock::now() - age).time_since_epoch())
      .count();
}

Steady::duration ToSteady(double seconds) {
  return std::chrono::duration_cast<Steady::duration>(std::chrono::duration<double>(seconds));
}

// A kept connection with at most one request under way.
struct Connection {
  int fd = -1;
  bool busy = false;
  Steady::time_point sent;
  http::ResponseReader answers;
};

class Source {
 public:
  explicit Source(const Options& options)
      : options_(options),
        payload_(options.payload_bytes, 'x'),
        random_(options.seed),
        gap_(options.rate),
        epoll_(epoll_create1(EPOLL_CLOEXEC)),
        connections_(static_cast<std::size_t>(options.connections)) {
    for (std::size_t i = 0; i < connections_.size(); ++i) Connect(i);
  }

  void Run() {
    const auto begin = Steady::now();
    const Steady::time_point end = begin + ToSteady(options_.seconds);
    Steady::time_point next = begin;
    while (true) {
      const auto now = Steady::now();
      while (next <= now && next < end) {
        waiting_.push_back(next);
        next += ToSteady(gap_(random_));
      }
      SendWaiting();
      const bool over = next >= end && waiting_.empty();
      if (over && free_.size() == connections_.size()) break;
      if (now > end + kAnswersMax) Fail("some answers did not come");
      Wait(next >= end ? end + kAnswersMax : next);
    }
    Report();
  }

 private:
  void Connect(std::size_t index) {
    Connection& connection = connections_[index];
    connection.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(options_.port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(connection.fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      Fail(fmt::format("port {}: {}", options_.port, std::strerror(errno)));
    }
    const int on = 1;
    setsockopt(connection.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = index;
    epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.fd, &event);
    free_.push_back(index);
  }

  void SendWaiting() {
    while (!waiting_.empty() && !free_.empty()) {
      const std::size_t index = free_.front();
      free_.pop_front();
      // One that found no free connection was due before: that is when its client would have sent.
      Send(connections_[index], blocked_ ? waiting_.front() : Steady::now());
      waiting_.pop_front();
    }
    blocked_ = !waiting_.empty();
  }

  void Send(Connection& connection, Steady::time_point sent) {
    const std::string request = fmt::format(
        "POST /spaces/{}/events HTTP/1.1\r\nHost: localhost\r\nce-specversion: 1.0\r\n"
        "ce-id: {}-{}\r\nce-source: /load\r\nce-type: {}\r\nce-sentus: {}\r\n"
        "Content-Type: text/plain\r\nContent-Length: {}\r\n\r\n{}",
        options_.space, options_.prefix, sent_++, options_.type, MicrosSinceEpoch(sent),
        payload_.size(), payload_);
    connection.busy = true;
    connection.sent = sent;
    connection.answers.Reset(/*is_head_request=*/false, kAnswerBytesMax);
    if (send(connection.fd, request.data(), request.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(request.size())) {
      Fail(fmt::format("a request could not be sent: {}", std::strerror(errno)));
    }
  }

  void Wait(Steady::time_point until) {
    const auto left = std::max(until - Steady::now(), Steady::duration::zero());
    const auto nanos = std::chrono::duration_cast<std::chrono::nanoseconds>(left).count();
    const timespec timeout{nanos / 1'000'000'000, nanos % 1'000'000'000};
    epoll_event events[64];
    const int count = epoll_pwait2(epoll_, events, 64, &timeout, nullptr);
    for (int i = 0; i < count; ++i) Receive(events[i].data.u64);
  }

  void Receive(std::size_t index) {
    Connection& connection = connections_[index];
    const std::span<char> room = connection.answers.input().Prepare(kReadBytes);
    const ssize_t got = recv(connection.fd, room.data(), room.size(), 0);
    if (got <= 0 || !connection.busy) Fail("the server closed a connection");
    connection.answers.input().Commit(static_cast<std::size_t>(got));
    const auto event = connection.answers.Next();
    if (event == http::ResponseReader::Event::kNeedMore) return;
    if (event != http::ResponseReader::Event::kResponse) {
      Fail(fmt::format("an answer could not be read: {}", connection.answers.error()));
    }
    const http::ClientResponse answer = connection.answers.TakeResponse();
    (answer.status == 202 ? accepted_ : refused_) += 1;
    latencies_.push_back(
        std::chrono::duration_cast<std::chrono::microseconds>(Steady::now() - connection.sent)
            .count());
    connection.busy = false;
    free_.push_back(index);
  }

  void Report() {
    std::sort(latencies_.begin(), latencies_.end());
    const auto at = [&](double share) {
      return latencies_.empty() ? 0
                                : latencies_[static_cast<std::size_t>(
                                      share * static_cast<double>(latencies_.size() - 1))];
    };
    fmt::print(R"({{"sent":{},"accepted":{},"refused":{},"ack_p50_us":{},"ack_p99_us":{}}})"
               "\n",
               sent_, accepted_, refused_, at(0.5), at(0.99));
  }

  const Options options_;
  const std::string payload_;
  std::mt19937_64 random_;
  std::exponential_distribution<double> gap_;
  const int epoll_;
  std::vector<Connection> connections_;
  std::deque<std::size_t> free_;            // In turn, so that none is closed for idleness.
  std::deque<Steady::time_point> waiting_;  // When events were due that are not sent yet.
  bool blocked_ = false;
  std::uint64_t sent_ = 0, accepted_ = 0, refused_ = 0;
  std::vector<std::int64_t> latencies_;
};

Options Parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; i += 2) {
    const std::string_view name = argv[i];
    if (i + 1 == argc) Fail(fmt::format("{} lacks its value", name));
    const char* value = argv[i + 1];
    if (name == "--port")
      options.port = static_cast<std::uint16_t>(std::atoi(value));
    else if (name == "--rate")
      options.rate = std::atof(value);
    else if (name == "--seconds")
      options.seconds = std::atof(value);
    else if (name == "--connections")
      options.connections = std::atoi(value);
    else if (name == "--payload-bytes")
      options.payload_bytes = std::strtoul(value, nullptr, 10);
    else if (name == "--type")
      options.type = value;
    else if (name == "--prefix")
      options.prefix = value;
    else if (name == "--space")
      options.space = value;
    else if (name == "--seed")
      options.seed = std::strtoull(value, nullptr, 10);
    else
      Fail(fmt::format("unknown option '{}'; README.md lists them", name));
  }
  if (options.port == 0 || options.rate <= 0 || options.connections <= 0) {
    Fail("expected --port, and positive --rate and --connections");
  }
  return options;
}

}  // namespace
}  // namespace penstock::testing

int main(int argc, char** argv) {
  // Sleeps end when they are due, not up to 50 µs later.
  prctl(PR_SET_TIMERSLACK, 1);
  penstock::testing::Source(penstock::testing::Parse(argc, argv)).Run();
  return 0;
}
