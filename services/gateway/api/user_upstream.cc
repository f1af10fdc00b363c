#include "services/gateway/api/user_upstream.h"

#include <fmt/format.h>

#include <utility>

#include "services/gateway/api/backends.h"
#include "services/gateway/api/file_digest.h"

namespace penstock::gateway {

UserUpstream::UserUpstream(UserServiceOptions options)
    : options_(std::move(options)), tls_digest_(DigestOfFiles({options_.tls_ca})) {
  rpc::ChannelOptions channel;
  if (options_.tls)
    channel.tls = rpc::TlsFiles{.ca = options_.tls_ca, .certificate = {}, .key = {}};
  for (const std::string& address : options_.addresses) {
    channels_.push_back(std::make_unique<rpc::LazyChannel>(address, channel));
  }
}

bool UserUpstream::IsFor(const UserServiceOptions& options) const {
  return options == options_ && DigestOfFiles({options.tls_ca}) == tls_digest_;
}

absl::StatusOr<std::shared_ptr<grpc::Channel>> UserUpstream::Pick() {
  if (channels_.size() == 1) return channels_.front()->Get();
  const std::size_t first = turn_.fetch_add(1, std::memory_order_relaxed);
  absl::StatusOr<std::shared_ptr<grpc::Channel>> chosen = absl::UnavailableError("has no address");
  for (std::size_t i = 0; i < channels_.size(); ++i) {
    rpc::LazyChannel& lazy = *channels_[(first + i) % channels_.size()];
    auto channel = lazy.Get();
    // Channels of this process have no state.
    const bool works =
        channel.ok() && (lazy.address().starts_with("inproc:") ||
                         (*channel)->GetState(true) != GRPC_CHANNEL_TRANSIENT_FAILURE);
    if (works) return channel;
    if (!chosen.ok()) chosen = std::move(channel);
  }
  return chosen;
}

absl::Status UserUpstream::Named(const absl::Status& status) const {
  return NamedUnavailable(options_.name, fmt::format("{}", fmt::join(options_.addresses, ", ")),
                          status);
}

}  // namespace penstock::gateway
