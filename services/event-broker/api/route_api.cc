#include "services/event-broker/api/route_api.h"

#include <atomic>
#include <utility>

#include "libs/rpc/server_stream.h"

namespace penstock::broker {
namespace {

namespace pb = penstock::internal::v1;
using Stream = rpc::ServerStream<pb::WatchRoutesResponse>;

pb::WatchRoutesResponse ToProto(const RouteChanges& changes) {
  pb::WatchRoutesResponse message;
  message.set_snapshot_begin(changes.snapshot);
  message.set_snapshot_end(changes.snapshot);
  message.set_revision(changes.revision);
  for (const Route& route : changes.routes) {
    auto* change = message.add_changes();
    change->set_revision(changes.revision);
    change->mutable_route()->set_subscription(route.subscription);
    change->mutable_route()->set_method(route.http.method);
    change->mutable_route()->set_path(route.http.path);
    change->mutable_route()->set_host(route.http.host);
    change->mutable_route()->set_function(route.function);
    change->mutable_route()->set_publish(route.publish);
  }
  for (const std::string& name : changes.deleted) {
    auto* change = message.add_changes();
    change->set_revision(changes.revision);
    change->mutable_route()->set_subscription(name);
    change->set_deleted(true);
  }
  return message;
}

}  // namespace

grpc::ServerWriteReactor<pb::WatchRoutesResponse>* RouteApi::WatchRoutes(
    grpc::CallbackServerContext* context, const pb::WatchRoutesRequest* request) {
  return Stream::Serve(
      context, request, {},
      [this](const pb::WatchRoutesRequest&, const std::shared_ptr<Stream>& stream) {
        if (const auto status = auth_->Check(stream->context()); !status.ok()) {
          return stream->Finish(status);
        }
        // The routes are few: every watch starts with all of them, whatever the caller had. A
        // watcher that does not read is cut off; it connects again and gets a snapshot.
        const auto id = std::make_shared<std::atomic<std::int64_t>>(0);
        stream->set_on_done([this, id](const absl::Status&) { catalog_.Unwatch(*id); });
        *id = catalog_.WatchRoutes([stream](const RouteChanges& changes) {
          if (!stream->Write(ToProto(changes)) && !stream->ended()) {
            stream->Finish(
                absl::ResourceExhaustedError("the watcher does not keep up; watch again"));
          }
        });
        if (stream->ended()) catalog_.Unwatch(*id);
      });
}

}  // namespace penstock::broker
