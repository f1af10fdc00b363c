// Calls of a function by `Invoke` and by `InvokeStream`, and gRPC's own server to measure against.
//   invoke_load echo                                     serves, and prints its port
//   invoke_load unary ADDRESS METHOD NAME SECONDS        calls with 128 bytes; METHOD may be the
//   echo's invoke_load stream ADDRESS NAME TOKEN_FILE SECONDS   deliveries of one broker
// The last two print one line of JSON.
#include <fmt/format.h>
#include <penstock/executions/v1/executor.pb.h>
#include <penstock/internal/v1/invocation.pb.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "io/cloudevents/v1/cloudevents.pb.h"
#include "libs/base/ids.h"
#include "libs/http/event_loops.h"
#include "libs/rpc/bidi_client.h"
#include "libs/rpc/channel.h"
#include "libs/rpc/peer_auth.h"
#include "libs/rpc/wire_client.h"
#include "tests/bench/grpc_proxy/client.h"
#include "tests/bench/grpc_proxy/echo_server.h"

namespace penstock {
namespace {

namespace pb = penstock::internal::v1;
using Clock = std::chrono::steady_clock;

constexpr int kBatchMax = 256;

int RunUnary(const std::string& address, const std::string& method, const std::string& name,
             int seconds) {
  executions::v1::InvokeRequest request;
  request.set_name(name);
  request.mutable_payload()->set_content_type("application/json");
  request.mutable_payload()->set_data('"' + std::string(126, 'x') + '"');
  gateway::LoadOptions options;
  options.address = address;
  options.method = method;
  options.message = request.SerializeAsString();
  options.is_echo = method != "/penstock.executions.v1.FunctionExecutorService/Invoke";
  options.duration = std::chrono::seconds(seconds);
  const gateway::LoadResult result = gateway::RunLoad(options);
  fmt::print(R"({{"per_second": {:.0f}, "p50_us": {:.0f}, "p99_us": {:.0f}, "failed": {}}})"
             "\n",
             result.calls_per_second, result.p50_us, result.p99_us, result.failures);
  return 0;
}

// Deliveries as a broker makes them: as many in flight as the executor has given credit for.
class Deliveries {
 public:
  using Stream = rpc::BidiClient<pb::InvokeStreamRequest, pb::InvokeStreamResponse>;

  Deliveries(const std::string& function, int seconds) : seconds_(seconds) {
    io::cloudevents::v1::CloudEvent event;
    event.set_id("bench");
    event.set_source("/bench");
    event.set_spec_version("1.0");
    event.set_type("bench.event");
    event.set_text_data(std::string(256, 'x'));
    invocation_.set_attempt(1);
    invocation_.set_epoch(1);
    invocation_.set_function(function);
    invocation_.set_subscription("spaces/default/subscriptions/bench");
    invocation_.mutable_timeout()->set_seconds(10);
    invocation_.set_event(event.SerializeAsString());
  }

  int Run(const std::shared_ptr<grpc::Channel>& channel, const rpc::CallOptions& options) {
    rpc::BidiClientHandlers<pb::InvokeStreamRequest, pb::InvokeStreamResponse> handlers;
    handlers.fill = [this](pb::InvokeStreamRequest& message) { return Fill(message); };
    handlers.on_message = [this](pb::InvokeStreamResponse& message) { Take(message); };
    handlers.on_done = [this](const absl::Status& status, const rpc::ResponseMetadata&) {
      const std::lock_guard lock(mutex_);
      error_ = status.ToString();
      is_over_ = true;
      ended_.notify_all();
    };
    auto stream = Stream::Start(channel, "/penstock.internal.v1.InvocationService/InvokeStream",
                                options, std::move(handlers));
    {
      const std::lock_guard lock(mutex_);
      stream_ = std::move(stream);  // Messages may have come before.
    }
    stream_->Notify();
    std::unique_lock lock(mutex_);
    ended_.wait_for(lock, std::chrono::seconds(seconds_ + 20), [this] { return is_over_; });
    const double measured = static_cast<double>(results_) / seconds_;
    fmt::print(R"({{"per_second": {:.0f}, "failed": {}, "error": "{}"}})"
               "\n",
               measured, failed_, is_complete_ ? "" : error_);
    lock.unlock();
    stream_->Cancel();
    lock.lock();
    ended_.wait_for(lock, std::chrono::seconds(10), [this] { return !error_.empty(); });
    return is_complete_ ? 0 : 1;
  }

 private:
  bool Fill(pb::InvokeStreamRequest& message) {
    const std::lock_guard lock(mutex_);
    if (!has_begun_) {
      has_begun_ = true;
      message.set_broker(NewUuid());
      return true;
    }
    for (int i = 0; i < kBatchMax && in_flight_ < credit_ && !is_over_; ++i, ++in_flight_) {
      pb::Invocation& one = *message.add_invocations();
      one = invocation_;
      one.set_delivery_id("bench-" + std::to_string(++sequence_));
      one.set_sequence(sequence_);
    }
    return message.invocations_size() > 0;
  }

  void Take(const pb::InvokeStreamResponse& message) {
    std::shared_ptr<Stream> stream;
    {
      const std::lock_guard lock(mutex_);
      stream = stream_;
      if (message.credit() > 0) credit_ = message.credit();
      in_flight_ -= message.results_size();
      const auto now = Clock::now();
      if (credit_ > 0 && !measure_from_) measure_from_ = now + std::chrono::milliseconds(500);
      for (const pb::InvocationResult& result : message.results()) {
        if (result.outcome() != pb::InvocationResult::SUCCEEDED) ++failed_;
      }
      if (measure_from_ && now >= *measure_from_) {
        if (now < *measure_from_ + std::chrono::seconds(seconds_)) {
          results_ += message.results_size();
        } else if (!is_over_) {
          is_complete_ = is_over_ = true;
          ended_.notify_all();
        }
      }
    }
    if (stream != nullptr) stream->Notify();
  }

  const int seconds_;
  pb::Invocation invocation_;
  std::shared_ptr<Stream> stream_;
  std::mutex mutex_;
  std::condition_variable ended_;
  bool has_begun_ = false;
  bool is_over_ = false;
  bool is_complete_ = false;
  int credit_ = 0;
  int in_flight_ = 0;
  std::int64_t sequence_ = 0;
  std::int64_t results_ = 0;
  std::int64_t failed_ = 0;
  std::optional<Clock::time_point> measure_from_;
  std::string error_;
};

int RunStream(const std::string& address, const std::string& function,
              const std::string& token_file, int seconds) {
  http::EventLoops loops({.threads = 1, .name = "load"});
  rpc::WireClients wire(loops);
  const auto auth = rpc::PeerAuth::Load(token_file);
  const auto channel = rpc::MakeChannel(address, {.wire = &wire});
  if (!auth.ok() || !channel.ok()) {
    fmt::print(stderr, "{} {}\n", auth.status().ToString(), channel.status().ToString());
    return 1;
  }
  Deliveries deliveries(function, seconds);
  const int code = deliveries.Run(*channel, {.metadata = {(*auth)->Metadata()}});
  wire.Stop();
  loops.Stop();
  return code;
}

}  // namespace
}  // namespace penstock

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments == std::vector<std::string>{"echo"}) return penstock::gateway::RunEchoServer();
  if (arguments.size() == 5 && arguments[0] == "unary") {
    return penstock::RunUnary(arguments[1], arguments[2], arguments[3], std::stoi(arguments[4]));
  }
  if (arguments.size() == 5 && arguments[0] == "stream") {
    return penstock::RunStream(arguments[1], arguments[2], arguments[3], std::stoi(arguments[4]));
  }
  std::fputs("see the head of invoke_load.cc\n", stderr);
  return 2;
}
