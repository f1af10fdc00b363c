#include "libs/rpc/call_options.h"

#include <algorithm>
#include <map>

namespace penstock::rpc {
namespace {

using GrpcMetadata = std::multimap<grpc::string_ref, grpc::string_ref>;

std::string_view Find(const GrpcMetadata& metadata, std::string_view key) {
  const auto found = metadata.find(grpc::string_ref(key.data(), key.size()));
  if (found == metadata.end()) return {};
  return {found->second.data(), found->second.size()};
}

std::vector<std::pair<std::string, std::string>> All(const GrpcMetadata& metadata) {
  std::vector<std::pair<std::string, std::string>> all;
  for (const auto& [key, value] : metadata) {
    all.emplace_back(std::string(key.data(), key.size()), std::string(value.data(), value.size()));
  }
  return all;
}

}  // namespace

std::string_view ResponseMetadata::Initial(std::string_view key) const {
  return Find(context_.GetServerInitialMetadata(), key);
}
std::string_view ResponseMetadata::Trailing(std::string_view key) const {
  return Find(context_.GetServerTrailingMetadata(), key);
}
std::vector<std::pair<std::string, std::string>> ResponseMetadata::AllInitial() const {
  return All(context_.GetServerInitialMetadata());
}
std::vector<std::pair<std::string, std::string>> ResponseMetadata::AllTrailing() const {
  return All(context_.GetServerTrailingMetadata());
}

void Apply(const CallOptions& options, std::optional<std::chrono::milliseconds> timeout_default,
           grpc::ClientContext& context) {
  SystemTime deadline = options.deadline;
  std::optional<std::chrono::milliseconds> timeout = options.timeout;
  if (!timeout && deadline == SystemTime::max()) timeout = timeout_default;
  if (timeout) deadline = std::min(deadline, std::chrono::system_clock::now() + *timeout);
  if (deadline != SystemTime::max()) context.set_deadline(deadline);
  for (const auto& [key, value] : options.metadata) context.AddMetadata(key, value);
  if (options.peer_auth) options.peer_auth->Attach(context);
  context.set_wait_for_ready(options.wait_for_ready);
}

}  // namespace penstock::rpc
