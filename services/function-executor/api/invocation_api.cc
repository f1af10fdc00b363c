#include "services/function-executor/api/invocation_api.h"

#include <utility>
#include <vector>

#include "libs/base/callback_guard.h"
#include "libs/base/names.h"
#include "libs/base/status.h"
#include "libs/log/log.h"
#include "libs/rpc/server_unary.h"
#include "services/function-executor/api/convert.h"

namespace penstock::executor {
namespace {

namespace pb = internal::v1;

using Server = InvocationStream::Server;

// After all results are written, a broker may have sent more before it heard of the drain; it is
// told so for that long.
constexpr std::chrono::milliseconds kLinger{200};
constexpr std::chrono::milliseconds kPoll{10};

}  // namespace

grpc::ServerBidiReactor<pb::InvokeStreamRequest, pb::InvokeStreamResponse>*
InvocationApi::InvokeStream(grpc::CallbackServerContext* context) {
  return Server::Serve(context, [this](const auto& server) { return Accept(server); });
}

void InvocationApi::AddDirect(rpc::DirectMethods& direct) {
  direct.Add<pb::InvokeStreamRequest, pb::InvokeStreamResponse>(
      "/penstock.internal.v1.InvocationService/InvokeStream",
      [this](const auto& server) { return Accept(server); });
}

Server::Handlers InvocationApi::Accept(const std::shared_ptr<Server>& server) {
  if (const absl::Status peer = peer_auth_->Check(server->context()); !peer.ok()) {
    server->Finish(peer);
    return {};
  }
  std::shared_ptr<InvocationStream> stream;
  {
    const std::lock_guard lock(mutex_);
    stream = std::make_shared<InvocationStream>(parts_, server, draining_);
    streams_.insert(stream);
  }
  log::Info("stream of deliveries opened", {{"peer", server->context().peer()}});
  return stream->Handlers([this, stream, peer = server->context().peer()] {
    log::Info("stream of deliveries ended", {{"peer", peer}});
    const std::lock_guard lock(mutex_);
    streams_.erase(stream);
    ended_.notify_all();
  });
}

grpc::ServerUnaryReactor* InvocationApi::ListLocalExecutions(
    grpc::CallbackServerContext* context, const pb::ListLocalExecutionsRequest* request,
    pb::ListLocalExecutionsResponse* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const pb::ListLocalExecutionsRequest& given, pb::ListLocalExecutionsResponse* answer,
             rpc::CallContext& call, const rpc::ServerDone& done) {
        if (const absl::Status peer = peer_auth_->Check(call); !peer.ok()) return done(peer);
        executions::v1::ListExecutionsRequest list;
        if (!list.ParseFromString(given.request())) {
          return done(FieldError("request", "is no serialized ListExecutionsRequest"));
        }
        auto query = FromProto(list);
        if (!query.ok()) return done(UnderField("request", query.status()));
        if (given.before_start_micros() != 0) {
          query->before = ExecutionPosition{given.before_start_micros(), given.before_id()};
        }
        reader_.List(*query,
                     [this, answer, done](absl::StatusOr<std::vector<ExecutionRecord>> records) {
                       if (!records.ok()) return done(records.status());
                       answer->set_instance(parts_.instance);
                       for (const ExecutionRecord& record : *records) {
                         *answer->add_executions() = ToProto(record);
                       }
                       done(absl::OkStatus());
                     });
      });
}

grpc::ServerUnaryReactor* InvocationApi::GetLocalExecution(
    grpc::CallbackServerContext* context, const pb::GetLocalExecutionRequest* request,
    executions::v1::Execution* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const pb::GetLocalExecutionRequest& given, executions::v1::Execution* answer,
             rpc::CallContext& call, const rpc::ServerDone& done) {
        if (const absl::Status peer = peer_auth_->Check(call); !peer.ok()) return done(peer);
        const auto name = ParseResourceName("name", "executions", given.name());
        if (!name.ok()) return done(name.status());
        reader_.Get(name->space, name->id, [answer, done](absl::StatusOr<ExecutionRecord> record) {
          if (!record.ok()) return done(record.status());
          *answer = ToProto(*record);
          done(absl::OkStatus());
        });
      });
}

bool InvocationApi::Drain(std::chrono::milliseconds limit) {
  AssertMayBlock("drain of deliveries");
  const auto end = std::chrono::steady_clock::now() + limit;
  std::unique_lock lock(mutex_);
  draining_ = true;
  const std::vector<std::shared_ptr<InvocationStream>> streams(streams_.begin(), streams_.end());
  lock.unlock();
  for (const auto& stream : streams) stream->Drain();
  lock.lock();
  const auto outstanding = [this] {
    std::size_t sum = 0;
    for (const auto& stream : streams_) sum += stream->outstanding();
    return sum;
  };
  // Streams wake this only when they end: a drain is rare, and a result is not made slower by it.
  while (outstanding() > 0 && std::chrono::steady_clock::now() < end) ended_.wait_for(lock, kPoll);
  const bool is_drained = outstanding() == 0;
  ended_.wait_for(lock, kLinger, [this] { return streams_.empty(); });
  const std::vector<std::shared_ptr<InvocationStream>> left(streams_.begin(), streams_.end());
  lock.unlock();
  for (const auto& stream : left) stream->Finish();
  return is_drained;
}

std::size_t InvocationApi::streams() const {
  const std::lock_guard lock(mutex_);
  return streams_.size();
}

}  // namespace penstock::executor
