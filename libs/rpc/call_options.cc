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

std::string_view Find(const MetadataList& metadata, std::string_view key) {
  for (const auto& [name, value] : metadata) {
    if (name == key) return value;
  }
  return {};
}

MetadataList All(const GrpcMetadata& metadata) {
  MetadataList all;
  for (const auto& [key, value] : metadata) {
    all.emplace_back(std::string(key.data(), key.size()), std::string(value.data(), value.size()));
  }
  return all;
}

}  // namespace

std::string_view ResponseMetadata::Initial(std::string_view key) const {
  if (context_ != nullptr) return Find(context_->GetServerInitialMetadata(), key);
  return initial_ == nullptr ? std::string_view() : Find(*initial_, key);
}
std::string_view ResponseMetadata::Trailing(std::string_view key) const {
  return context_ == nullptr ? Find(*trailing_, key)
                             : Find(context_->GetServerTrailingMetadata(), key);
}
MetadataList ResponseMetadata::AllInitial() const {
  if (context_ != nullptr) return All(context_->GetServerInitialMetadata());
  return initial_ == nullptr ? MetadataList() : *initial_;
}
MetadataList ResponseMetadata::AllTrailing() const {
  return context_ == nullptr ? *trailing_ : All(context_->GetServerTrailingMetadata());
}

MetadataList MetadataOf(const CallOptions& options) {
  MetadataList metadata = options.metadata;
  if (options.peer_auth) metadata.push_back(options.peer_auth->Metadata());
  return metadata;
}

SystemTime DeadlineOf(const CallOptions& options,
                      std::optional<std::chrono::milliseconds> timeout_default) {
  SystemTime deadline = options.deadline;
  std::optional<std::chrono::milliseconds> timeout = options.timeout;
  if (!timeout && deadline == SystemTime::max()) timeout = timeout_default;
  if (timeout) deadline = std::min(deadline, std::chrono::system_clock::now() + *timeout);
  return deadline;
}

void Apply(const CallOptions& options, std::optional<std::chrono::milliseconds> timeout_default,
           grpc::ClientContext& context) {
  const SystemTime deadline = DeadlineOf(options, timeout_default);
  if (deadline != SystemTime::max()) context.set_deadline(deadline);
  for (const auto& [key, value] : MetadataOf(options)) context.AddMetadata(key, value);
  context.set_wait_for_ready(options.wait_for_ready);
}

}  // namespace penstock::rpc
