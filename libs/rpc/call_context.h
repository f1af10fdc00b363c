// What a server handler may know about its call, copied, so that it stays valid in asynchronous
// work.
#pragma once

#include <grpcpp/server_context.h>

#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "libs/rpc/cancellation.h"
#include "libs/rpc/metadata.h"

namespace penstock::rpc {

// Reading is thread-safe; what is added for the answer counts until the call is finished.
class CallContext {
 public:
  explicit CallContext(const grpc::CallbackServerContext& context);
  // Of a call without gRPC.
  CallContext(MetadataList metadata, std::string peer,
              std::chrono::system_clock::time_point deadline =
                  std::chrono::system_clock::time_point::max());

  // The first value of a metadata key (lower case), or empty.
  std::string_view Metadata(std::string_view key) const;
  // All values of a key, in order.
  std::vector<std::string> MetadataAll(std::string_view key) const;
  const MetadataList& metadata() const { return metadata_; }

  std::string_view principal() const;
  std::string_view min_revision() const;
  std::string_view traceparent() const;
  // As gRPC writes it: "ipv4:127.0.0.1:1234".
  const std::string& peer() const { return peer_; }
  // When the caller stops waiting; time_point::max() when it set no deadline.
  std::chrono::system_clock::time_point deadline() const { return deadline_; }

  // Set when the caller cancelled, vanished, or its deadline passed.
  const std::shared_ptr<Cancellation>& cancellation() const { return cancellation_; }
  bool cancelled() const { return cancellation_->cancelled(); }

  // Trailing metadata of the answer. set_revision gives penstock-revision: "<service>:<revision>".
  void AddTrailing(std::string key, std::string value);
  void set_revision(std::string revision);

  // Moves what was added into gRPC's context. For the reactors of this library, before Finish.
  void ApplyTrailing(grpc::CallbackServerContext& context);
  MetadataList TakeTrailing();

 private:
  MetadataList metadata_;
  std::string peer_;
  std::chrono::system_clock::time_point deadline_;
  std::shared_ptr<Cancellation> cancellation_ = std::make_shared<Cancellation>();
  std::mutex mutex_;
  MetadataList trailing_;
};

}  // namespace penstock::rpc
