#include "tests/bench/grpc_proxy/client.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

namespace penstock::gateway {
namespace {

using Clock = std::chrono::steady_clock;

struct Load {
  Clock::time_point measure_from;
  Clock::time_point end;
  std::string method;
  bool is_echo;
  grpc::ByteBuffer message;
  std::mutex mutex;
  std::condition_variable done;
  int running = 0;
};

// One call after the other.
class Chain {
 public:
  Chain(Load& load, const std::shared_ptr<grpc::Channel>& channel) : load_(load), stub_(channel) {}

  void Next() {
    begin_ = Clock::now();
    if (begin_ > load_.end) {
      const std::lock_guard lock(load_.mutex);
      if (--load_.running == 0) load_.done.notify_all();
      return;
    }
    context_ = std::make_unique<grpc::ClientContext>();
    context_->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
    response_.Clear();
    stub_.UnaryCall(context_.get(), load_.method, grpc::StubOptions(), &load_.message, &response_,
                    [this](const grpc::Status& status) { OnAnswer(status); });
  }

  std::vector<float> latencies_us;
  std::size_t calls = 0;
  std::size_t failures = 0;

 private:
  void OnAnswer(const grpc::Status& status) {
    ++calls;
    const bool is_whole = !load_.is_echo || response_.Length() == load_.message.Length();
    if (!status.ok() || !is_whole) ++failures;
    if (begin_ >= load_.measure_from) {
      latencies_us.push_back(
          std::chrono::duration<float, std::micro>(Clock::now() - begin_).count());
    }
    Next();
  }

  Load& load_;
  grpc::GenericStub stub_;
  std::unique_ptr<grpc::ClientContext> context_;
  grpc::ByteBuffer response_;
  Clock::time_point begin_;
};

}  // namespace

LoadResult RunLoad(const LoadOptions& options) {
  Load load;
  load.method = options.method;
  load.is_echo = options.is_echo;
  const grpc::Slice slice(options.message);
  load.message = grpc::ByteBuffer(&slice, 1);
  std::vector<std::shared_ptr<grpc::Channel>> channels;
  for (int i = 0; i < options.connections; ++i) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    channels.push_back(
        grpc::CreateCustomChannel(options.address, grpc::InsecureChannelCredentials(), arguments));
    channels.back()->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(10));
  }
  std::vector<std::unique_ptr<Chain>> chains;
  for (int i = 0; i < options.in_flight; ++i) {
    chains.push_back(std::make_unique<Chain>(load, channels[i % channels.size()]));
  }
  load.running = options.in_flight;
  load.measure_from = Clock::now() + options.warm_up;
  load.end = load.measure_from + options.duration;
  for (const auto& chain : chains) chain->Next();
  std::unique_lock lock(load.mutex);
  load.done.wait(lock, [&load] { return load.running == 0; });

  LoadResult result;
  std::vector<float> all;
  for (const auto& chain : chains) {
    all.insert(all.end(), chain->latencies_us.begin(), chain->latencies_us.end());
    result.calls += chain->calls;
    result.failures += chain->failures;
  }
  if (all.empty()) return result;
  std::sort(all.begin(), all.end());
  result.calls_per_second =
      static_cast<double>(all.size()) / std::chrono::duration<double>(options.duration).count();
  result.p50_us = all[all.size() / 2];
  result.p99_us = all[all.size() * 99 / 100];
  return result;
}

}  // namespace penstock::gateway
