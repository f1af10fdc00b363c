// An HTTP function that counts the events it receives, fast enough to keep up with a whole suite.
#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "libs/http/event_loops.h"
#include "libs/http/server.h"

namespace {

using penstock::http::Exchange;
using penstock::http::Request;
using penstock::http::Response;

std::int64_t NowMicros() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// What arrived. Thread-safe.
class Arrivals {
 public:
  void Add(std::string_view id, std::string_view sent_micros) {
    const std::int64_t now = NowMicros();
    const std::lock_guard lock(mutex_);
    ++calls_;
    if (++times_[std::string(id)] > 1) return;
    std::int64_t sent = 0;
    const auto parsed =
        std::from_chars(sent_micros.data(), sent_micros.data() + sent_micros.size(), sent);
    if (parsed.ec == std::errc() && sent > 0) latencies_.push_back(now - sent);
  }

  std::string Counts() {
    const std::lock_guard lock(mutex_);
    return fmt::format("{{\"calls\":{},\"ids\":{}}}", calls_, times_.size());
  }

  std::string Ids() {
    const std::lock_guard lock(mutex_);
    std::string text;
    for (const auto& [id, times] : times_) text += fmt::format("{} {}\n", id, times);
    return text;
  }

  std::string Latencies() {
    const std::lock_guard lock(mutex_);
    std::string text;
    for (const std::int64_t latency : latencies_) text += fmt::format("{}\n", latency);
    return text;
  }

  void Reset() {
    const std::lock_guard lock(mutex_);
    calls_ = 0;
    times_.clear();
    latencies_.clear();
  }

 private:
  std::mutex mutex_;
  std::uint64_t calls_ = 0;
  std::unordered_map<std::string, std::uint32_t> times_;
  std::vector<std::int64_t> latencies_;
};

Response Answer(Arrivals& arrivals, const Request& request) {
  if (request.path() == "/counts") return Response::Json(200, arrivals.Counts());
  if (request.path() == "/ids") return Response::Text(200, arrivals.Ids());
  if (request.path() == "/latencies") return Response::Text(200, arrivals.Latencies());
  if (request.path() == "/reset") {
    arrivals.Reset();
    return Response::Text(200, "");
  }
  const std::string_view id = request.headers.Get("ce-id");
  if (id.empty()) return Response::Text(400, "expected a CloudEvent in binary mode\n");
  arrivals.Add(id, request.headers.Get("ce-sentus"));
  return Response::Text(200, "");
}

}  // namespace

int main(int argc, char** argv) {
  sigset_t ending;
  sigemptyset(&ending);
  sigaddset(&ending, SIGTERM);
  sigaddset(&ending, SIGINT);
  pthread_sigmask(SIG_BLOCK, &ending, nullptr);

  Arrivals arrivals;
  penstock::http::EventLoops loops({.threads = 1, .name = "receiver"});
  penstock::http::ServerOptions options;
  if (argc > 1) options.port = static_cast<std::uint16_t>(std::stoi(argv[1]));
  auto server = penstock::http::Server::Start(
      loops, options, [&arrivals](Request request, std::shared_ptr<Exchange> exchange) {
        exchange->Respond(Answer(arrivals, request));
      });
  if (!server.ok()) {
    std::fprintf(stderr, "event_receiver: %s\n", server.status().ToString().c_str());
    return 1;
  }
  std::printf("%d\n", static_cast<int>((*server)->port()));
  std::fflush(stdout);
  int received = 0;
  sigwait(&ending, &received);
  (*server)->Stop();
  loops.Stop();
  return 0;
}
