// What a client says about a call, and the metadata that it gets back.
#pragma once

#include <grpcpp/client_context.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "libs/rpc/cancellation.h"
#include "libs/rpc/metadata.h"
#include "libs/rpc/peer_auth.h"

namespace penstock::rpc {

using SystemTime = std::chrono::system_clock::time_point;

struct CallOptions {
  // The call ends at the earlier of both. Unary calls always have a limit; streams have none unless
  // set.
  std::optional<std::chrono::milliseconds> timeout;
  SystemTime deadline = SystemTime::max();
  bool HasLimit() const { return timeout.has_value() || deadline != SystemTime::max(); }
  // Keys in lower case.
  MetadataList metadata;
  // Adds the peer token; for package penstock.internal.v1.
  std::shared_ptr<const PeerAuth> peer_auth;
  // Cancels the call when set.
  std::shared_ptr<Cancellation> cancellation;
  // Waits for a connection instead of failing at once with UNAVAILABLE.
  bool wait_for_ready = false;
};

// The limit of a unary call whose options name none.
inline constexpr std::chrono::milliseconds kUnaryTimeoutDefault{10'000};

// Metadata of the server's answer; valid during the callback that it is passed to.
class ResponseMetadata {
 public:
  explicit ResponseMetadata(const grpc::ClientContext& context) : context_(&context) {}
  // Of a call without gRPC's library; `initial` may be null.
  explicit ResponseMetadata(const MetadataList& trailing, const MetadataList* initial = nullptr)
      : initial_(initial), trailing_(&trailing) {}

  // The first value of a key (lower case), or empty.
  std::string_view Initial(std::string_view key) const;
  std::string_view Trailing(std::string_view key) const;
  // All of it, in key order.
  MetadataList AllInitial() const;
  MetadataList AllTrailing() const;
  // The address that answered.
  std::string peer() const { return context_ == nullptr ? "inproc" : context_->peer(); }

 private:
  // The context, or else the lists.
  const grpc::ClientContext* context_ = nullptr;
  const MetadataList* initial_ = nullptr;
  const MetadataList* trailing_ = nullptr;
};

// What a call sends: the options' metadata and the token.
MetadataList MetadataOf(const CallOptions& options);

// When a call ends at the latest; `timeout_default` counts when the options have no limit.
SystemTime DeadlineOf(const CallOptions& options,
                      std::optional<std::chrono::milliseconds> timeout_default);

// Sets deadline, metadata, token and readiness. The deadline is as DeadlineOf has it.
void Apply(const CallOptions& options, std::optional<std::chrono::milliseconds> timeout_default,
           grpc::ClientContext& context);

}  // namespace penstock::rpc
