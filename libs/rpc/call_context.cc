#include "libs/rpc/call_context.h"

#include <utility>

namespace penstock::rpc {

CallContext::CallContext(const grpc::CallbackServerContext& context)
    : peer_(context.peer()), deadline_(context.deadline()) {
  metadata_.reserve(context.client_metadata().size());
  for (const auto& [key, value] : context.client_metadata()) {
    metadata_.emplace_back(std::string(key.data(), key.size()),
                           std::string(value.data(), value.size()));
  }
}

CallContext::CallContext(MetadataList metadata, std::string peer,
                         std::chrono::system_clock::time_point deadline)
    : metadata_(std::move(metadata)), peer_(std::move(peer)), deadline_(deadline) {}

std::string_view CallContext::Metadata(std::string_view key) const {
  for (const auto& [name, value] : metadata_) {
    if (name == key) return value;
  }
  return {};
}

std::vector<std::string> CallContext::MetadataAll(std::string_view key) const {
  std::vector<std::string> values;
  for (const auto& [name, value] : metadata_) {
    if (name == key) values.push_back(value);
  }
  return values;
}

std::string_view CallContext::principal() const { return Metadata(kPrincipalKey); }
std::string_view CallContext::min_revision() const { return Metadata(kMinRevisionKey); }
std::string_view CallContext::traceparent() const { return Metadata(kTraceparentKey); }

void CallContext::AddTrailing(std::string key, std::string value) {
  const std::lock_guard lock(mutex_);
  trailing_.emplace_back(std::move(key), std::move(value));
}

void CallContext::set_revision(std::string revision) {
  AddTrailing(kRevisionKey, std::move(revision));
}

void CallContext::ApplyTrailing(grpc::CallbackServerContext& context) {
  const std::lock_guard lock(mutex_);
  for (const auto& [key, value] : trailing_) context.AddTrailingMetadata(key, value);
  trailing_.clear();
}

MetadataList CallContext::TakeTrailing() {
  const std::lock_guard lock(mutex_);
  return std::exchange(trailing_, {});
}

}  // namespace penstock::rpc
