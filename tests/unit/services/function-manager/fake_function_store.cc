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
    for (const auto& [version, function] : state_.versions[current->second.uid]) {
      if (query.before_version == 0 || version < query.before_version) all.push_back(function);
    }
    std::reverse(all.begin(), all.end());
    return PageOf(std::move(all), query.limits);
  }

  absl::StatusOr<ChangePage> Changes(const ChangeQuery& query) override {
    std::vector<Change> all;
    for (const auto& [name, function] : state_.functions) {
      if (function.revision > query.after) all.push_back({false, function});
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
      if (hold.function == name && holders.size() < count_max) holders.push_back(hold.holder);
    }
    return holders;
  }

  absl::StatusOr<std::vector<Hold>> HoldsOf(const std::string& service) override {
    std::vector<Hold> holds;
    for (const Hold& hold : state_.holds) {
      if (hold.service == service) holds.push_back(hold);
    }
    return holds;
  }

  absl::Status Put(Function& function) override {
    auto& versions = state_.versions[function.uid];
    if (versions.contains(function.version)) return absl::AlreadyExistsError("version");
    function.revision = ++state_.revision;
    versions.emplace(function.version, function);
    state_.functions.insert_or_assign(function.name, function);
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

  absl::Status RemoveHold(const FunctionName& function, const std::string& holder) override {
    std::erase_if(state_.holds, [&](const Hold& hold) {
      return hold.function == function && hold.holder == holder;
    });
    return absl::OkStatus();
  }

 private:
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
