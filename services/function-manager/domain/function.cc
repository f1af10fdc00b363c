#include "services/function-manager/domain/function.h"

#include <fmt/format.h>

#include "libs/base/ids.h"

namespace penstock::functions {
namespace {

// What names, times and field numbers of a message take beside its texts.
constexpr std::size_t kFixedBytes = 256;
constexpr std::size_t kEntryBytes = 8;

std::size_t BytesOf(const std::map<std::string, std::string>& entries) {
  std::size_t bytes = 0;
  for (const auto& [key, value] : entries) bytes += key.size() + value.size() + kEntryBytes;
  return bytes;
}

std::size_t BytesOf(const Driver& driver) {
  if (const auto* http = std::get_if<HttpDriver>(&driver)) {
    return http->url.size() + BytesOf(http->headers);
  }
  const auto* process = std::get_if<ProcessDriver>(&driver);
  if (process == nullptr) return 0;
  std::size_t bytes = process->source.size() + process->handler.size() + process->runtime.size();
  for (const std::string& argument : process->command) bytes += argument.size() + kEntryBytes;
  return bytes;
}

}  // namespace

std::string FunctionName::ToString() const {
  return fmt::format("spaces/{}/{}/{}", space, kCollection, id);
}

std::vector<NamedSecret> SecretsNamedBy(const FunctionSpec& spec) {
  std::vector<NamedSecret> named;
  for (std::size_t i = 0; i < spec.secrets.size(); ++i) {
    named.push_back({fmt::format("secrets[{}]", i), spec.secrets[i]});
  }
  const auto* http = std::get_if<HttpDriver>(&spec.driver);
  if (http != nullptr && !http->signing_secret.empty()) {
    named.push_back({"http.signing_secret", http->signing_secret});
  }
  if (!spec.async.callback_signing_secret.empty()) {
    named.push_back({"async.callback_signing_secret", spec.async.callback_signing_secret});
  }
  return named;
}

FunctionState StateOfNew(const FunctionSpec& spec) {
  return std::holds_alternative<ProcessDriver>(spec.driver) ? FunctionState::kDeploying
                                                            : FunctionState::kReady;
}

std::string Function::Etag() const {
  if (uid.empty() || is_version) return {};
  return Sha256Hex(fmt::format("{}:{}", uid, generation)).substr(0, 16);
}

std::string Function::AliasEtag(const std::string& alias) const {
  const auto found = aliases.find(alias);
  if (uid.empty() || found == aliases.end()) return {};
  return Sha256Hex(fmt::format("{}@{}:{}", uid, alias, found->second.generation)).substr(0, 16);
}

std::size_t ByteSize(const Function& function) {
  std::size_t names = 0;
  for (const NamedSecret& secret : SecretsNamedBy(function.spec)) {
    names += secret.id.size() + kEntryBytes;
  }
  for (const auto& [alias, target] : function.aliases) names += alias.size() + 2 * kEntryBytes;
  return kFixedBytes + names + function.traffic.size() * kEntryBytes + function.name.space.size() +
         function.name.id.size() + function.creator.size() + function.state_reason.size() +
         function.spec.description.size() + function.spec.middleware.size() +
         BytesOf(function.spec.metadata) + BytesOf(function.spec.environment) +
         BytesOf(function.spec.driver);
}

}  // namespace penstock::functions
