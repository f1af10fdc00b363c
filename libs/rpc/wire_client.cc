#include "libs/rpc/wire_client.h"

#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <utility>

#include "libs/base/status.h"
#include "libs/h2/grpc_wire.h"
#include "libs/rpc/channel.h"
#include "libs/rpc/steps.h"
#include "libs/rpc/wire_fields.h"

namespace penstock::rpc {
namespace {

constexpr std::chrono::seconds kDnsCache{5};
// As long as gRPC's channels here wait.
constexpr std::chrono::seconds kBackoffMax{1};

class WireCall final : public ByteStream,
                       public h2::StreamHandler,
                       public std::enable_shared_from_this<WireCall> {
 public:
  WireCall(http::EventLoops& loops, h2::Client& client, h2::Fields head,
           std::shared_ptr<ByteStreamEvents> events)
      : loops_(loops),
        loop_(loops.PickLoop()),
        client_(client),
        head_(std::move(head)),
        events_(std::move(events)),
        reader_(kMessageBytesMax) {}

  void Start() override {
    self_ = shared_from_this();
    Run([](WireCall& call) {
      if (call.end_) return;  // Cancelled before.
      call.stream_ = &call.client_.Open(std::move(call.head_), /*end=*/false, &call);
    });
  }

  void Write(h2::Chunk message) override {
    Run([message = std::move(message)](WireCall& call) mutable {
      // Once the call has its end, nobody tells of writes any more.
      if (call.stream_ == nullptr || call.end_) return call.events_->OnWritten(false);
      call.stream_->Write(std::move(message));
      call.is_writing_ = true;
      call.CheckWritten();
    });
  }

  bool PassNotify() override {
    if (loops_.CurrentLoop() == loop_) return false;
    if (is_notify_posted_.exchange(true)) return true;
    loops_.Post(loop_, [self = shared_from_this()] {
      self->is_notify_posted_ = false;
      self->Run([](WireCall& call) { call.events_->OnNotified(); });
    });
    return true;
  }

  void CloseWrites(bool broken) override {
    Run([broken](WireCall& call) {
      call.is_closed_ = true;
      if (call.stream_ != nullptr && !call.end_) {
        broken ? call.End(absl::CancelledError("the call was given up")) : call.stream_->End();
      }
      call.Settle();
    });
  }

  void Cancel() override {
    Run([](WireCall& call) { call.End(absl::CancelledError("the call was cancelled")); });
  }

 private:
  // Does `step` on the loop, unless the call is over.
  template <typename Step>
  void Run(Step step) {
    auto run = [self = shared_from_this(), step = std::move(step)]() mutable {
      Steps::Run([self = std::move(self), step = std::move(step)]() mutable {
        if (self->events_ != nullptr) step(*self);
      });
    };
    if (loops_.CurrentLoop() == loop_) return run();
    loops_.Post(loop_, std::move(run));
  }

  void OnHead(h2::Fields head, bool end) override {
    if (end) return Finish(head);
    if (head.Get(":status") != "200" || !head.Get("content-type").starts_with("application/grpc")) {
      // Which may be the end of this object.
      return End(absl::UnavailableError(
          fmt::format("the server is none of gRPC: it answered {}", head.Get(":status"))));
    }
    has_head_ = true;
  }

  void OnData(h2::Chunk data) override {
    const auto self = shared_from_this();
    reader_.Append(data.view());
    if (stream_ != nullptr) stream_->Consume(data.size());
    Steps::Run([self = shared_from_this()] { self->Deliver(); });
  }

  void Deliver() {
    while (!end_) {
      auto message = reader_.Next();
      if (!message) break;
      if (message->is_compressed || !events_->OnBytes(message->bytes)) {
        End(absl::InternalError("a message cannot be read"));
      }
    }
    if (!end_ && !reader_.error().ok()) End(reader_.error());
  }

  void OnEnd(h2::Fields trailers) override { Finish(trailers); }

  void OnSent(std::size_t) override {
    if (!is_writing_) return;
    Steps::Run([self = shared_from_this()] { self->CheckWritten(); });
  }

  void OnClosed(h2::ErrorCode code) override {
    stream_ = nullptr;
    if (end_) return Settled();
    const absl::Status why = client_.LastError();
    if (code == h2::ErrorCode::kConnectionLost && !has_head_ && !why.ok()) {
      return End(
          absl::UnavailableError(fmt::format("failed to connect: {}", std::string(why.message()))));
    }
    End(absl::Status(h2::GrpcCodeOf(code), code == h2::ErrorCode::kConnectionLost
                                               ? "the connection was lost"
                                               : "the server reset the stream"));
  }

  // The server has said everything.
  void Finish(const h2::Fields& trailers) {
    trailing_ = MetadataOf(trailers);
    const auto status = h2::GrpcStatusOf(trailers);
    Conclude(status ? StatusOf(*status)
                    : absl::UnknownError("the server ended the call without a status"));
  }

  // Ends the call from this side.
  void End(absl::Status status) {
    if (h2::Stream* const stream = std::exchange(stream_, nullptr); stream != nullptr) {
      stream->Reset(h2::ErrorCode::kCancel);
    }
    Conclude(std::move(status));
  }

  void Conclude(absl::Status status) {
    if (end_) return;
    end_ = std::move(status);
    Settled();
  }

  // As a step: what it tells may be in the middle of telling something else.
  void Settled() {
    Steps::Run([self = shared_from_this()] {
      if (self->events_ == nullptr) return;
      if (!std::exchange(self->has_told_reads_, true)) {
        if (std::exchange(self->is_writing_, false)) self->events_->OnWritten(false);
        self->events_->OnReadsEnded();
      }
      self->Settle();
    });
  }

  void CheckWritten() {
    if (!is_writing_ || end_) return;
    if (stream_ != nullptr && stream_->queued() > kWireQueuedMax) return;
    is_writing_ = false;
    events_->OnWritten(stream_ != nullptr);
  }

  void Settle() {
    if (!end_ || !is_closed_ || !has_told_reads_ || events_ == nullptr) return;
    // The server's answer is complete, and so is what this side says: the stream may still be open.
    if (h2::Stream* const stream = std::exchange(stream_, nullptr); stream != nullptr) {
      stream->Reset(h2::ErrorCode::kCancel);
    }
    const auto events = std::move(events_);
    const auto self = std::move(self_);
    events->OnEnd(*end_, ResponseMetadata(trailing_));
  }

  http::EventLoops& loops_;
  const int loop_;
  h2::Client& client_;
  h2::Fields head_;
  std::atomic<bool> is_notify_posted_{false};
  // Until OnEnd; used on the loop.
  std::shared_ptr<ByteStreamEvents> events_;
  std::shared_ptr<WireCall> self_;
  h2::GrpcReader reader_;
  h2::Stream* stream_ = nullptr;
  bool has_head_ = false;
  bool is_writing_ = false;
  bool is_closed_ = false;
  bool has_told_reads_ = false;
  std::optional<absl::Status> end_;
  MetadataList trailing_;
};

}  // namespace

class WireClients::Streams final : public ByteStreams {
 public:
  Streams(http::EventLoops& loops, std::unique_ptr<h2::Client> client, std::string address)
      : loops_(loops), client_(std::move(client)), authority_(std::move(address)) {}

  std::shared_ptr<ByteStream> Make(const std::string& method, const CallOptions& options,
                                   std::shared_ptr<ByteStreamEvents> events) override {
    return std::make_shared<WireCall>(loops_, *client_, CallHead(method, authority_, options),
                                      std::move(events));
  }

  void Stop() { client_->Stop(); }

 private:
  http::EventLoops& loops_;
  const std::unique_ptr<h2::Client> client_;
  const std::string authority_;
};

WireClients::WireClients(http::EventLoops& loops) : loops_(loops), dns_(loops, kDnsCache, 1) {}

WireClients::~WireClients() { Stop(); }

std::shared_ptr<ByteStreams> WireClients::Get(std::string_view address) {
  const std::string target = WireAddress(address);
  if (target.empty()) return nullptr;
  const std::lock_guard lock(mutex_);
  if (const auto found = streams_.find(target); found != streams_.end()) return found->second;
  h2::ClientOptions options;
  options.addresses = {target};
  options.backoff_max = kBackoffMax;
  auto client = h2::Client::Create(loops_, dns_, std::move(options));
  if (!client.ok()) return nullptr;
  auto streams = std::make_shared<Streams>(loops_, *std::move(client), target);
  streams_.emplace(target, streams);
  return streams;
}

void WireClients::Stop() {
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [address, streams] : streams_) streams->Stop();
  }
  dns_.Stop();
}

}  // namespace penstock::rpc
