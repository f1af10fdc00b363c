#include "services/function-executor/registry/source_client.h"

#include <google/api/httpbody.pb.h>
#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/support/client_callback.h>
#include <penstock/functions/v1/manager.pb.h>

#include <chrono>
#include <optional>
#include <utility>

#include "fmt/format.h"
#include "libs/base/callback_guard.h"
#include "libs/base/status.h"
#include "libs/rpc/call_gate.h"
#include "libs/rpc/call_options.h"
#include "libs/rpc/status.h"

namespace penstock::executor {
namespace {

using functions::v1::DownloadSourceRequest;
using google::api::HttpBody;

constexpr char kMethod[] = "/penstock.functions.v1.FunctionManagerService/DownloadSource";

absl::Status Stopping() { return absl::UnavailableError("the executor is stopping"); }

}  // namespace

// One call. The next message is asked for when the waiting thread has dealt with the one before, so
// that no more than one is in memory; reactions only pass on.
class SourceClient::Download final
    : private grpc::ClientBidiReactor<DownloadSourceRequest, HttpBody> {
 public:
  absl::Status Run(const std::shared_ptr<grpc::Channel>& channel, DownloadSourceRequest request,
                   const rpc::CallOptions& options, const OnBytes& on_bytes) {
    request_ = std::move(request);
    rpc::Apply(options, std::nullopt, context_);
    {
      const rpc::CallStart start(channel);
      grpc::TemplatedGenericStub<DownloadSourceRequest, HttpBody>(start.channel())
          .PrepareBidiStreamingCall(&context_, kMethod, grpc::StubOptions(), this);
    }
    AddHold();  // Reads start outside reactions.
    StartWriteLast(&request_, grpc::WriteOptions());
    StartRead(&piece_);
    StartCall();
    absl::Status taken;
    while (WaitForPiece()) {
      if (taken.ok()) taken = on_bytes(piece_.data());
      if (!taken.ok()) context_.TryCancel();
      StartRead(&piece_);
    }
    RemoveHold();
    const absl::Status end = WaitForEnd();
    return taken.ok() ? end : taken;
  }

  void Cancel() { context_.TryCancel(); }

 private:
  // False at the end of the stream.
  bool WaitForPiece() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return read_.has_value(); });
    return *std::exchange(read_, std::nullopt);
  }
  absl::Status WaitForEnd() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return end_.has_value(); });
    return *end_;
  }
  void OnReadDone(bool ok) override {
    const std::lock_guard lock(mutex_);
    read_ = ok;
    changed_.notify_all();
  }
  void OnDone(const grpc::Status& status) override {
    const std::lock_guard lock(mutex_);
    end_ = rpc::FromGrpcStatus(status);
    changed_.notify_all();  // Under the lock: the waiting thread destroys this object.
  }

  grpc::ClientContext context_;
  DownloadSourceRequest request_;
  HttpBody piece_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<bool> read_;
  std::optional<absl::Status> end_;
};

SourceClient::SourceClient(SourceClientOptions options)
    : options_(std::move(options)), channel_(options_.address) {}

SourceClient::~SourceClient() { Stop(); }

absl::Status SourceClient::Fetch(const std::string& space, const std::string& digest,
                                 const OnBytes& on_bytes) {
  AssertMayBlock("SourceClient::Fetch");
  ASSIGN_OR_RETURN(const auto channel, channel_.Get());
  DownloadSourceRequest request;
  request.set_parent(fmt::format("spaces/{}", space));
  request.set_digest(digest);
  rpc::CallOptions call;
  call.peer_auth = options_.peer_auth;
  call.timeout = std::chrono::duration_cast<std::chrono::milliseconds>(options_.timeout);
  Download download;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return Stopping();
    running_.insert(&download);
  }
  absl::Status status = download.Run(channel, std::move(request), call, on_bytes);
  const std::lock_guard lock(mutex_);
  running_.erase(&download);
  return stopping_ && absl::IsCancelled(status) ? Stopping() : status;
}

void SourceClient::Stop() {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  for (Download* const download : running_) download->Cancel();
}

}  // namespace penstock::executor
