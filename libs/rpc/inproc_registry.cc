#include "libs/rpc/inproc_registry.h"

#include <fmt/format.h>

#include <utility>

namespace penstock::rpc {
namespace {

absl::Status NoServer(std::string_view name) {
  return absl::UnavailableError(fmt::format("no server named {} runs in this process", name));
}

}  // namespace

InprocRegistry& InprocRegistry::Get() {
  static InprocRegistry& registry = *new InprocRegistry();  // Outlives every server.
  return registry;
}

absl::Status InprocRegistry::Add(const std::string& name, MakeChannel make, Connect connect) {
  const std::lock_guard lock(mutex_);
  if (entries_.contains(name)) {
    return absl::AlreadyExistsError(
        fmt::format("a server named {} already runs in this process", name));
  }
  entries_.emplace(name, Entry{std::move(make), std::move(connect), next_generation_++});
  return absl::OkStatus();
}

void InprocRegistry::Remove(const std::string& name) {
  const std::lock_guard lock(mutex_);
  entries_.erase(name);
}

absl::StatusOr<InprocRegistry::Made> InprocRegistry::Make(std::string_view name,
                                                          const grpc::ChannelArguments& arguments) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(name);
  if (found == entries_.end()) return NoServer(name);
  return Made{found->second.make(arguments), found->second.generation};
}

absl::StatusOr<int> InprocRegistry::ConnectTo(std::string_view name) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(name);
  if (found == entries_.end()) return NoServer(name);
  return found->second.connect();
}

absl::StatusOr<int> ConnectInproc(std::string_view name) {
  return InprocRegistry::Get().ConnectTo(name);
}

std::uint64_t InprocRegistry::Generation(std::string_view name) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(name);
  return found == entries_.end() ? 0 : found->second.generation;
}

}  // namespace penstock::rpc
