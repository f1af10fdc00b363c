#include "libs/rpc/wire_unary.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "libs/base/status.h"
#include "libs/h2/grpc_wire.h"
#include "libs/http/cancelable.h"
#include "libs/rpc/byte_stream.h"
#include "libs/rpc/channel.h"
#include "libs/rpc/contain.h"
#include "libs/rpc/wire_fields.h"

namespace penstock::rpc {
namespace {

// A connection is tried again only when a call wants one, and a call meets a pause as an error: a
// server that came back is not to look lost for long.
constexpr std::chrono::milliseconds kBackoffInitial{5};
constexpr std::chrono::milliseconds kBackoffMax{20};

using google::protobuf::Message;
using std::chrono::microseconds;

// One call, on its loop. It holds itself while its stream lives.
class UnaryCall final : public h2::StreamHandler, public std::enable_shared_from_this<UnaryCall> {
 public:
  UnaryCall(http::EventLoops& loops, h2::Client& client, std::string method,
            std::shared_ptr<const Message> request, std::shared_ptr<Message> response,
            CallOptions options, GenericDone done)
      : loops_(loops),
        loop_(loops.CurrentLoop()),
        client_(client),
        method_(std::move(method)),
        request_(std::move(request)),
        response_(std::move(response)),
        options_(std::move(options)),
        deadline_(DeadlineOf(options_, kUnaryTimeoutDefault)),
        done_(std::move(done)) {}

  ~UnaryCall() override {
    if (cancel_id_) options_.cancellation->Unsubscribe(*cancel_id_);
  }

  void Start(const std::string& authority, const std::string& scheme) {
    authority_ = authority;
    scheme_ = scheme;
    self_ = shared_from_this();
    const auto left = std::max(microseconds(0), Left());
    timer_ = loops_.RunAfter(loop_, left, [weak = weak_from_this()] {
      if (const auto call = weak.lock()) {
        call->End(absl::DeadlineExceededError("Deadline Exceeded"));
      }
    });
    if (options_.cancellation) {
      cancel_id_ = options_.cancellation->Subscribe(
          [weak = weak_from_this(), &loops = loops_, loop = loop_] {
            loops.Post(loop, [weak] {
              if (const auto call = weak.lock()) call->End(absl::CancelledError("CANCELLED"));
            });
          });
    }
    if (!options_.cancellation || !options_.cancellation->cancelled()) Send();
  }

 private:
  microseconds Left() const {
    return std::chrono::duration_cast<microseconds>(deadline_ - std::chrono::system_clock::now());
  }

  void Send() {
    self_ = shared_from_this();  // A second time, where the stream was refused.
    ++tries_;
    stream_ = &client_.Open(Head(), /*end=*/false, this);
    stream_->Write(ToWire(*request_));
    stream_->End();
  }

  h2::Fields Head() const {
    h2::Fields head = CallHead(method_, authority_, options_, scheme_);
    head.Add("grpc-timeout", h2::FormatGrpcTimeout(Left()));
    return head;
  }

  void OnHead(h2::Fields head, bool end) override {
    has_head_ = true;
    if (end) return Finish(head);
    const std::string_view status = head.Get(":status");
    if (status != "200" || !head.Get("content-type").starts_with("application/grpc")) {
      return End(absl::UnavailableError(
          fmt::format("the server does not speak gRPC: it answered {}", status)));
    }
    initial_ = MetadataOf(head);
  }

  void OnData(h2::Chunk data) override {
    const std::size_t size = data.size();
    if (size_ + size > kMessageBytesMax + h2::kGrpcPrefixBytes) {
      return End(absl::ResourceExhaustedError(
          fmt::format("the answer is larger than {} bytes", kMessageBytesMax)));
    }
    // Most answers come in one piece, and need no copy then.
    if (size_ == 0) {
      first_ = std::move(data);
    } else {
      if (rest_.empty()) rest_ = first_.view();
      rest_ += data.view();
    }
    size_ += size;
    stream_->Consume(size);
  }

  void OnEnd(h2::Fields trailers) override { Finish(trailers); }
  void OnSent(std::size_t) override {}

  void OnClosed(h2::ErrorCode code) override {
    stream_ = nullptr;
    const auto self = std::move(self_);
    if (done_ == nullptr) return;
    if (code == h2::ErrorCode::kRefusedStream && !has_head_ && tries_ == 1) return Send();
    const absl::Status why = client_.LastError();
    if (code != h2::ErrorCode::kConnectionLost) {
      return Conclude(absl::Status(h2::GrpcCodeOf(code), "the server reset the call"));
    }
    Conclude(!has_head_ && !why.ok() ? why : absl::UnavailableError("the connection was lost"));
  }

  // The server has said everything.
  void Finish(const h2::Fields& trailers) {
    trailing_ = MetadataOf(trailers);
    const auto status = h2::GrpcStatusOf(trailers);
    if (!status) {
      return Conclude(absl::UnknownError("the server ended the call without a status"));
    }
    if (status->code != absl::StatusCode::kOk) return Conclude(StatusOf(*status));
    const auto message = h2::OnlyGrpcMessage(rest_.empty() ? first_.view() : rest_);
    if (!message.ok()) return Conclude(message.status());
    const bool parsed =
        response_->ParseFromArray(message->data(), static_cast<int>(message->size()));
    Conclude(parsed ? absl::OkStatus() : absl::InternalError("the answer cannot be read"));
  }

  // Ends the call from this side.
  void End(absl::Status status) {
    const auto self = shared_from_this();
    if (h2::Stream* const stream = std::exchange(stream_, nullptr); stream != nullptr) {
      stream->Reset(h2::ErrorCode::kCancel);
    }
    self_.reset();
    Conclude(std::move(status));
  }

  void Conclude(absl::Status status) {
    if (done_ == nullptr) return;
    timer_->Cancel();
    Contain("unary call", [&] {
      const auto done = std::exchange(done_, nullptr);
      done(std::move(status), ResponseMetadata(trailing_, &initial_));
    });
    response_.reset();
    request_.reset();
  }

  http::EventLoops& loops_;
  const int loop_;
  h2::Client& client_;
  const std::string method_;
  std::string authority_;
  std::string scheme_;
  std::shared_ptr<const Message> request_;
  std::shared_ptr<Message> response_;
  const CallOptions options_;
  const SystemTime deadline_;
  GenericDone done_;  // Null once it was called.
  std::optional<std::uint64_t> cancel_id_;
  std::shared_ptr<http::Cancelable> timer_;

  std::shared_ptr<UnaryCall> self_;  // Until it is over.
  h2::Stream* stream_ = nullptr;
  int tries_ = 0;
  bool has_head_ = false;
  // The body: the first piece, and once there is another one, all of them.
  h2::Chunk first_;
  std::string rest_;
  std::size_t size_ = 0;
  MetadataList initial_;
  MetadataList trailing_;
};

}  // namespace

bool UnaryCaller::Takes(const std::string& address) { return !WireAddress(address).empty(); }

absl::StatusOr<std::unique_ptr<UnaryCaller>> UnaryCaller::Create(http::EventLoops& loops,
                                                                 http::Dns& dns,
                                                                 std::string address,
                                                                 UnaryCallerOptions wishes) {
  std::string authority = WireAddress(address);
  if (authority.empty()) {
    return FieldError("address", fmt::format("expected host:port, got \"{}\"", address));
  }
  h2::ClientOptions options;
  options.addresses = {authority};
  options.backoff_initial = kBackoffInitial;
  options.backoff_max = kBackoffMax;
  options.tls = std::move(wishes.tls);
  options.egress = std::move(wishes.egress);
  std::string scheme = options.tls ? "https" : "http";
  ASSIGN_OR_RETURN(auto client, h2::Client::Create(loops, dns, std::move(options)));
  return std::unique_ptr<UnaryCaller>(
      new UnaryCaller(loops, std::move(client), std::move(authority), std::move(scheme)));
}

void UnaryCaller::Call(const std::string& method, std::shared_ptr<const Message> request,
                       std::shared_ptr<Message> response, const CallOptions& options,
                       GenericDone done) {
  std::make_shared<UnaryCall>(loops_, *client_, method, std::move(request), std::move(response),
                              options, std::move(done))
      ->Start(authority_, scheme_);
}

}  // namespace penstock::rpc
