#include "tests/unit/services/function-manager/fake_function_store.h"

#include <algorithm>
#include <utility>

#include "services/function-manager/domain/errors.h"

namespace penstock::functions {
namespace {

class FakeSession final : public FunctionWriter {
 public:
  FakeSession(FakeFunctionStore::State& state, std::size_t deletions_kept)
      : state_(state), deletions_kept_(deletions_kept) {}

  absl::StatusOr<std::optional<Function>> Get(const FunctionName& name) override {
    const auto found = state_.functions.find(name);
    if (found == state_.functions.end()) return std::optional<Function>();
    return std::optional<Function>(found->second);
  }

  absl::StatusOr<bool> Exists(const FunctionName& name) override {
    return state_.functions.contains(name);
  }

  absl::StatusOr<FunctionPage> List(const ListQuery& query) override {
    std::vector<Function> all;
    for (const auto& [name, function] : state_.functions) {
      if (name.space != query.space || name.id <= query.after_id) continue;
      if (query.creator && function.creator != *query.creator) continue;
      const auto has = [&function = function](const auto& wanted) {
        const auto found = function.spec.metadata.find(wanted.first);
        return found != function.spec.metadata.end() && found->second == wanted.second;
      };
      if (!std::all_of(query.metadata.begin(), query.metadata.end(), has)) continue;
      all.push_back(function);
    }
    return PageOf(std::move(all), query.limits);
  }

  absl::StatusOr<FunctionPage> ListVersions(const VersionQuery& query) override {
    const auto current = state_.functions.find(query.name);
    if (current == state_.functions.end()) return FunctionPage();
    std::vector<Function> all;
    for (const auto& [version, function] : VersionsOf(current->second.uid)) {
      if (query.before_version == 0 || version < query.before_version) all.push_back(function);
    }
    std::reverse(all.begin(), all.end());
    return PageOf(std::move(all), query.limits);
  }

  absl::StatusOr<std::optional<Function>> GetVersion(const FunctionName& name,
                                                     std::int64_t version) override {
    const auto current = state_.functions.find(name);
    if (current == state_.functions.end()) return std::optional<Function>();
    const auto& versions = VersionsOf(current->second.uid);
    const auto found = versions.find(version);
    if (found == versions.end()) return std::optional<Function>();
    return std::optional<Function>(found->second);
  }

  absl::StatusOr<std::vector<std::int64_t>> Versions(const FunctionName& name) override {
    std::vector<std::int64_t> numbers;
    const auto current = state_.functions.find(name);
    if (current == state_.functions.end()) return numbers;
    for (const auto& [version, function] : VersionsOf(current->second.uid)) {
      numbers.push_back(version);
    }
    return numbers;
  }

  absl::StatusOr<ChangePage> Changes(const ChangeQuery& query) override {
    std::vector<Change> all;
    for (const auto& [name, function] : state_.functions) {
      for (const auto& [version, past] : VersionsOf(function.uid)) {
        if (version != function.version && past.revision > query.after) {
          all.push_back({false, past});
        }
      }
      if (function.revision <= query.after) continue;
      Change change{false, function, *Versions(name)};
      for (const auto& [secret, by_key] : state_.secret_values) {
        const std::vector<VersionName> users = *SecretUsers(secret);
        const bool is_named =
            std::any_of(users.begin(), users.end(),
                        [&name = name](const auto& user) { return user.function == name; });
        if (!is_named) continue;
        for (const auto& [key, value] : by_key) change.secrets.push_back(value);
      }
      change.space_middleware = GetSpaceMiddleware(function.name.space)->steps;
      all.push_back(std::move(change));
    }
    for (const Function& function : state_.deletions) {
      if (function.revision > query.deletions_after) all.push_back({true, function});
    }
    std::sort(all.begin(), all.end(), [](const Change& a, const Change& b) {
      return a.function.revision < b.function.revision;
    });
    ChangePage page;
    std::size_t bytes = 0;
    for (Change& change : all) {
      if (!page.changes.empty() &&
          (page.changes.size() >= query.limits.count_max || bytes >= query.limits.bytes_max)) {
        page.has_more = true;
        page.revision = page.changes.back().function.revision;
        return page;
      }
      bytes += ByteSize(change.function);
      page.changes.push_back(std::move(change));
    }
    page.revision = state_.revision;
    return page;
  }

  absl::StatusOr<std::int64_t> Revision() override { return state_.revision; }
  absl::StatusOr<std::int64_t> ResumableFrom() override { return state_.resumable_from; }

  absl::StatusOr<std::vector<std::string>> Holders(const FunctionName& name,
                                                   std::size_t count_max) override {
    std::vector<std::string> holders;
    for (const Hold& hold : state_.holds) {
      if (hold.function == name) holders.push_back(hold.holder);
    }
    std::sort(holders.begin(), holders.end());
    holders.erase(std::unique(holders.begin(), holders.end()), holders.end());
    if (holders.size() > count_max) holders.resize(count_max);
    return holders;
  }

  absl::StatusOr<std::vector<Hold>> TagHolds(const FunctionName& name) override {
    std::vector<Hold> holds;
    for (const Hold& hold : state_.holds) {
      if (hold.function == name && !hold.tag.empty()) holds.push_back(hold);
    }
    return holds;
  }

  absl::StatusOr<std::vector<Hold>> HoldsOf(const std::string& service) override {
    std::vector<Hold> holds;
    for (const Hold& hold : state_.holds) {
      if (hold.service == service) holds.push_back(hold);
    }
    return holds;
  }

  absl::StatusOr<SpaceMiddleware> GetSpaceMiddleware(const std::string& space) override {
    const auto found = state_.space_middleware.find(space);
    if (found != state_.space_middleware.end()) return found->second;
    SpaceMiddleware none;
    none.space = space;
    return none;
  }

  absl::StatusOr<std::int64_t> PutSpaceMiddleware(const SpaceMiddleware& middleware) override {
    state_.space_middleware.insert_or_assign(middleware.space, middleware);
    std::vector<FunctionName> names;
    for (const auto& [name, function] : state_.functions) {
      if (name.space == middleware.space) names.push_back(name);
    }
    std::int64_t revision = 0;
    for (const FunctionName& name : names) {
      ASSIGN_OR_RETURN(revision, Touch(name));
    }
    return revision;
  }

  absl::StatusOr<std::set<SourceName>> SourcesInUse() override {
    std::set<SourceName> sources;
    for (const auto& [name, function] : state_.functions) {
      for (const auto& [version, stored] : state_.versions[function.uid]) {
        const auto* process = std::get_if<ProcessDriver>(&stored.spec.driver);
        if (process != nullptr && !process->source_digest.empty()) {
          sources.insert({name.space, process->source_digest});
        }
      }
    }
    return sources;
  }

  absl::StatusOr<std::optional<Secret>> GetSecret(const SecretName& name) override {
    const auto found = state_.secrets.find(name);
    if (found == state_.secrets.end()) return std::optional<Secret>();
    Secret secret = found->second;
    for (const auto& [key, value] : state_.secret_values[name]) secret.keys.push_back(key);
    return std::optional<Secret>(std::move(secret));
  }

  absl::StatusOr<std::pair<std::vector<Secret>, bool>> ListSecrets(
      const SecretQuery& query) override {
    std::pair<std::vector<Secret>, bool> page;
    for (const auto& [name, secret] : state_.secrets) {
      if (name.space != query.space || name.id <= query.after_id) continue;
      page.second = page.first.size() == query.count_max;
      if (page.second) break;
      page.first.push_back(**GetSecret(name));
    }
    return page;
  }

  absl::StatusOr<std::vector<SecretValue>> SecretValues(const SecretName& name) override {
    std::vector<SecretValue> values;
    for (const auto& [key, value] : state_.secret_values[name]) values.push_back(value);
    return values;
  }

  absl::StatusOr<std::vector<VersionName>> SplitsOver(const FunctionName& name) override {
    std::vector<VersionName> splits;
    for (const auto& [function_name, function] : state_.functions) {
      if (function_name.space != name.space) continue;
      for (const auto& [version, past] : VersionsOf(function.uid)) {
        const auto* weighted = std::get_if<WeightedDriver>(&past.spec.driver);
        if (weighted == nullptr) continue;
        for (const WeightedTarget& target : weighted->targets) {
          if (target.function == name.id) splits.push_back({function_name, version});
        }
      }
    }
    return splits;
  }

  absl::StatusOr<std::vector<VersionName>> SecretUsers(const SecretName& name) override {
    std::vector<VersionName> users;
    for (const auto& [function_name, function] : state_.functions) {
      if (function_name.space != name.space) continue;
      for (const auto& [version, past] : VersionsOf(function.uid)) {
        const std::vector<NamedSecret> named = SecretsNamedBy(past.spec);
        if (std::any_of(named.begin(), named.end(),
                        [&](const auto& secret) { return secret.id == name.id; })) {
          users.push_back({function_name, version});
        }
      }
    }
    return users;
  }

  absl::StatusOr<std::vector<SecretValue>> ValuesOfOtherKeys(const std::string& key_id,
                                                             std::size_t count_max) override {
    std::vector<SecretValue> values;
    for (const auto& [name, by_key] : state_.secret_values) {
      for (const auto& [key, value] : by_key) {
        if (value.sealed.key_id != key_id && values.size() < count_max) values.push_back(value);
      }
    }
    return values;
  }

  absl::Status PutSecret(const Secret& secret) override {
    state_.secrets[secret.name] = secret;
    state_.secrets[secret.name].keys.clear();
    return absl::OkStatus();
  }

  absl::Status PutSecretValue(const SecretValue& value) override {
    state_.secret_values[value.secret][value.key] = value;
    return absl::OkStatus();
  }

  absl::Status RemoveSecretValue(const SecretName& name, const std::string& key) override {
    state_.secret_values[name].erase(key);
    return absl::OkStatus();
  }

  absl::Status RemoveSecret(const SecretName& name) override {
    state_.secrets.erase(name);
    state_.secret_values.erase(name);
    return absl::OkStatus();
  }

  absl::StatusOr<std::int64_t> Touch(const FunctionName& name) override {
    state_.functions.at(name).revision = ++state_.revision;
    return state_.revision;
  }

  absl::Status Put(Function& function) override {
    auto& versions = state_.versions[function.uid];
    if (versions.contains(function.version)) return absl::AlreadyExistsError("version");
    function.revision = ++state_.revision;
    Function version = function;
    version.is_version = true;
    version.generation = 1;
    version.traffic.clear();
    version.aliases.clear();
    versions.emplace(function.version, std::move(version));
    state_.functions.insert_or_assign(function.name, function);
    return absl::OkStatus();
  }

  absl::Status Save(Function& function) override {
    function.revision = ++state_.revision;
    state_.functions.insert_or_assign(function.name, function);
    return absl::OkStatus();
  }

  absl::Status SetState(const std::string& uid, std::int64_t version, FunctionState state,
                        const std::string& reason) override {
    const auto set = [&](Function& function) {
      function.state = state;
      function.state_reason = reason;
    };
    auto& versions = state_.versions[uid];
    if (const auto found = versions.find(version); found != versions.end()) set(found->second);
    for (auto& [name, function] : state_.functions) {
      if (function.uid == uid && function.version == version) set(function);
    }
    return absl::OkStatus();
  }

  absl::Status RemoveVersions(const Function& function,
                              const std::vector<std::int64_t>& versions) override {
    for (const std::int64_t version : versions) state_.versions[function.uid].erase(version);
    return absl::OkStatus();
  }

  absl::StatusOr<std::int64_t> Remove(const FunctionName& name) override {
    const auto found = state_.functions.find(name);
    if (found == state_.functions.end()) return FunctionNotFound(name);
    Function deletion;
    deletion.name = name;
    deletion.uid = found->second.uid;
    deletion.version = found->second.version;
    deletion.revision = ++state_.revision;
    state_.versions.erase(deletion.uid);
    state_.functions.erase(found);
    state_.deletions.push_back(deletion);
    if (state_.deletions.size() > deletions_kept_) {
      state_.resumable_from = state_.deletions.front().revision;
      state_.deletions.erase(state_.deletions.begin());
    }
    return state_.revision;
  }

  absl::Status AddHold(const Hold& hold) override {
    state_.holds.insert(hold);
    return absl::OkStatus();
  }

  absl::Status RemoveHold(const Hold& hold) override {
    std::erase_if(state_.holds, [&](const Hold& other) {
      return other.function == hold.function && other.tag == hold.tag &&
             other.holder == hold.holder;
    });
    return absl::OkStatus();
  }

 private:
  const std::map<std::int64_t, Function>& VersionsOf(const std::string& uid) {
    return state_.versions[uid];
  }

  static FunctionPage PageOf(std::vector<Function> all, const PageLimits& limits) {
    FunctionPage page;
    std::size_t bytes = 0;
    for (Function& function : all) {
      if (!page.functions.empty() &&
          (page.functions.size() >= limits.count_max || bytes >= limits.bytes_max)) {
        page.has_more = true;
        break;
      }
      bytes += ByteSize(function);
      page.functions.push_back(std::move(function));
    }
    return page;
  }

  FakeFunctionStore::State& state_;
  const std::size_t deletions_kept_;
};

}  // namespace

FakeFunctionStore::FakeFunctionStore(std::int64_t first_revision, std::size_t deletions_kept)
    : deletions_kept_(deletions_kept) {
  state_.revision = first_revision;
  state_.resumable_from = first_revision;
}

void FakeFunctionStore::Read(ReadJob job, Done done) {
  absl::Status status = absl::UnavailableError("the store is stopped");
  {
    const std::lock_guard lock(mutex_);
    if (!stopped_) {
      State copy = state_;
      FakeSession session(copy, deletions_kept_);
      status = job(session);
    }
  }
  done(std::move(status));
}

void FakeFunctionStore::Write(WriteJob job, Done done) {
  absl::Status status = absl::UnavailableError("the store is stopped");
  std::int64_t revision = 0;
  {
    const std::lock_guard lock(mutex_);
    if (!stopped_) {
      State copy = state_;
      FakeSession session(copy, deletions_kept_);
      status = job(session);
      if (status.ok() && copy.revision != state_.revision) revision = copy.revision;
      if (status.ok()) state_ = std::move(copy);
    }
  }
  if (revision != 0 && listener_) listener_(revision);
  done(std::move(status));
}

std::int64_t FakeFunctionStore::Count() const {
  const std::lock_guard lock(mutex_);
  return static_cast<std::int64_t>(state_.functions.size());
}

void FakeFunctionStore::Stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  listener_ = nullptr;
}

}  // namespace penstock::functions
