// An HTTP function that answers as it was told, records each call and judges their order.
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "libs/http/event_loops.h"
#include "libs/http/server.h"
#include "libs/http/url.h"
#include "tests/support/function_server/ledger.h"
#include "tests/support/function_server/plan.h"

namespace penstock::testing {
namespace {

using http::Exchange;
using http::Request;
using http::Response;

// Lists of ids to look up are long.
constexpr std::size_t kBodyBytesMax = 256u << 20;

std::int64_t NowMicros() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

template <typename Number>
Number ToNumber(std::string_view text) {
  Number number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() ? number : Number{0};
}

std::map<std::string, std::string> ParametersOf(const Request& request) {
  std::map<std::string, std::string> parameters;
  std::string_view query = request.query();
  while (!query.empty()) {
    const std::size_t end = query.find('&');
    const std::string_view pair = query.substr(0, end);
    const std::size_t equal = pair.find('=');
    if (equal != std::string_view::npos) {
      const auto value = http::PercentDecode(pair.substr(equal + 1));
      parameters.emplace(pair.substr(0, equal), value.ok() ? *value : "");
    }
    query.remove_prefix(end == std::string_view::npos ? query.size() : end + 1);
  }
  return parameters;
}

// All of it runs on the one loop.
class FunctionServer {
 public:
  explicit FunctionServer(http::EventLoops& loops) : loops_(loops) {}

  void Serve(const Request& request, const std::shared_ptr<Exchange>& exchange) {
    if (request.headers.Has("ce-id")) return Call(request, exchange);
    exchange->Respond(Answer(request));
  }

 private:
  // A call that is not answered at once. Whoever comes first ends it.
  struct Pending {
    std::uint64_t call = 0;
    bool ended = false;
    std::shared_ptr<http::Cancelable> timer;
  };

  Response Answer(const Request& request) {
    const std::string_view path = request.path();
    if (path == "/counts") return Response::Json(200, ledger_.Counts());
    if (path == "/ids") return Response::Text(200, ledger_.Ids());
    if (path == "/latencies") return Response::Text(200, ledger_.Latencies());
    if (path == "/unsuccessful") return Response::Text(200, ledger_.Unsuccessful());
    if (path == "/passed") return Response::Text(200, ledger_.Passed());
    if (path == "/violations") return Response::Text(200, ledger_.Violations());
    if (path == "/missing") return Response::Text(200, ledger_.Missing(request.body));
    if (path == "/calls") {
      return Response::Text(200,
                            ledger_.Calls(ToNumber<std::uint64_t>(ParametersOf(request)["from"])));
    }
    if (path == "/plan") return SetPlan(ParametersOf(request));
    if (path == "/reset") {
      ledger_.Reset();
      return Response::Text(200, "");
    }
    return Response::Text(400, "expected a CloudEvent in binary mode\n");
  }

  Response SetPlan(const std::map<std::string, std::string>& parameters) {
    const auto plan = ParsePlan(parameters);
    const auto path = parameters.find("path");
    if (!plan || path == parameters.end()) {
      return Response::Text(400, "expected path, and numbers for what README.md names\n");
    }
    plans_[path->second] = *plan;
    return Response::Text(200, "");
  }

  void Call(const Request& request, const std::shared_ptr<Exchange>& exchange) {
    const http::Headers& headers = request.headers;
    Arrival arrival;
    arrival.event_id = headers.Get("ce-id");
    arrival.delivery_id = headers.Get("penstock-delivery-id");
    arrival.key = headers.Get("ce-partitionkey");
    arrival.attempt = ToNumber<int>(headers.Get("penstock-attempt"));
    arrival.sent_micros = ToNumber<std::int64_t>(headers.Get("ce-sentus"));
    // The ledger asks until the call's end, and whoever has that to tell holds the exchange.
    arrival.is_caller_gone = [caller = exchange.get()] { return caller->IsClientGone(); };
    const std::uint64_t call = ledger_.Begin(arrival, NowMicros());
    static const Plan kNone;
    const auto planned = plans_.find(request.path());
    const Plan& plan = planned == plans_.end() ? kNone : planned->second;
    const Ending ending =
        Draw(plan, arrival.delivery_id.empty() ? arrival.event_id : arrival.delivery_id,
             arrival.attempt);
    if (ending == Ending::kHang) {
      return Later(exchange, call, plan.hang_max, CallEnd::kHung, plan.status);
    }
    const CallEnd end = ending == Ending::kFail ? CallEnd::kFailed : CallEnd::kSucceeded;
    const int status = ending == Ending::kFail ? plan.status : 200;
    if (plan.delay.count() > 0) return Later(exchange, call, plan.delay, end, status);
    ledger_.End(call, end, NowMicros());
    exchange->Respond(Response::Text(status, ""));
  }

  void Later(const std::shared_ptr<Exchange>& exchange, std::uint64_t call,
             std::chrono::milliseconds delay, CallEnd end, int status) {
    auto pending = std::make_shared<Pending>();
    pending->call = call;
    // One that hangs is ended by its caller as a rule; that is how it was meant.
    const CallEnd when_gone = end == CallEnd::kHung ? CallEnd::kHung : CallEnd::kGone;
    exchange->OnClosed([this, pending, when_gone] {
      if (std::exchange(pending->ended, true)) return;
      if (pending->timer) pending->timer->Cancel();
      pending->timer.reset();
      ledger_.End(pending->call, when_gone, NowMicros());
    });
    pending->timer =
        loops_.RunAfter(exchange->loop(), delay, [this, exchange, pending, end, status] {
          if (std::exchange(pending->ended, true)) return;
          pending->timer.reset();
          ledger_.End(pending->call, end, NowMicros());
          exchange->Respond(Response::Text(status, ""));
        });
  }

  http::EventLoops& loops_;
  Ledger ledger_;
  std::map<std::string, Plan, std::less<>> plans_;
};

int Run(int argc, char** argv) {
  sigset_t ending;
  sigemptyset(&ending);
  sigaddset(&ending, SIGTERM);
  sigaddset(&ending, SIGINT);
  pthread_sigmask(SIG_BLOCK, &ending, nullptr);

  http::EventLoops loops({.threads = 1, .name = "functions"});
  FunctionServer functions(loops);
  http::ServerOptions options;
  options.limits.body_bytes_max = kBodyBytesMax;
  if (argc > 1) options.port = static_cast<std::uint16_t>(std::stoi(argv[1]));
  auto server = http::Server::Start(
      loops, options, [&functions](Request request, std::shared_ptr<Exchange> exchange) {
        functions.Serve(request, exchange);
      });
  if (!server.ok()) {
    std::fprintf(stderr, "function_server: %s\n", server.status().ToString().c_str());
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

}  // namespace
}  // namespace penstock::testing

int main(int argc, char** argv) { return penstock::testing::Run(argc, argv); }
