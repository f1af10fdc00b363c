#include "services/function-manager/domain/reference_keeper.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "libs/base/names.h"
#include "libs/base/status.h"
#include "services/function-manager/domain/errors.h"
#include "services/function-manager/domain/text.h"
#include "services/function-manager/domain/versions.h"

namespace penstock::functions {
namespace {

constexpr std::size_t kReferencesMax = 100'000;
constexpr std::string_view kBrokerService = "event-broker";
constexpr std::string_view kManagerService = "function-manager";

// Which service keeps resources of `collection`: functions that point at others are this service's
// own, everything else that names a function is the broker's.
std::string_view ServiceOf(std::string_view collection) {
  return collection == kCollection ? kManagerService : kBrokerService;
}

// The collection in "spaces/{space}/{collection}/{id}".
absl::StatusOr<std::string> CollectionOf(std::string_view holder) {
  constexpr std::string_view kStart = "spaces/";
  const std::size_t space_end = holder.find('/', kStart.size());
  const std::size_t end = space_end == std::string_view::npos ? std::string_view::npos
                                                              : holder.find('/', space_end + 1);
  if (!holder.starts_with(kStart) || end == std::string_view::npos || end == space_end + 1) {
    return FieldError("holder", fmt::format("{} is not a name: expected for example "
                                            "\"spaces/default/subscriptions/s1\"",
                                            Quoted(holder)));
  }
  return std::string(holder.substr(space_end + 1, end - space_end - 1));
}

// The form only: whether the space is open matters to new holds alone.
absl::StatusOr<Hold> Parse(const ReferenceInput& reference) {
  ASSIGN_OR_RETURN(TaggedName function,
                   ParseTaggedName("function", kCollection, reference.function));
  ASSIGN_OR_RETURN(const std::string collection, CollectionOf(reference.holder));
  ASSIGN_OR_RETURN(const ResourceName holder,
                   ParseResourceName("holder", collection, reference.holder));
  return Hold{{std::move(function.name.space), std::move(function.name.id)},
              std::move(function.tag),
              holder.ToString(),
              std::string(ServiceOf(collection))};
}

}  // namespace

ReferenceKeeper::ReferenceKeeper(FunctionStore& store, const SpaceRule& spaces)
    : store_(store), spaces_(spaces) {}

void ReferenceKeeper::Acquire(const ReferenceInput& reference, Done<Acquired> done) {
  auto hold = Parse(reference);
  if (!hold.ok()) return done(hold.status());
  if (auto allowed = spaces_.Check(hold->function.space); !allowed.ok()) return done(allowed);
  auto result = std::make_shared<Acquired>();
  store_.Write(
      [result, hold = *std::move(hold)](FunctionWriter& writer) -> absl::Status {
        ASSIGN_OR_RETURN(const std::optional<Function> found, writer.Get(hold.function));
        if (!found) return FunctionNotFound(hold.function);
        if (!hold.tag.empty()) RETURN_IF_ERROR(ResolveTag(writer, *found, hold.tag).status());
        RETURN_IF_ERROR(writer.AddHold(hold));
        ASSIGN_OR_RETURN(result->revision, writer.Revision());
        result->function_uid = found->uid;
        return absl::OkStatus();
      },
      [result, done = std::move(done)](absl::Status status) {
        if (!status.ok()) return done(std::move(status));
        done(std::move(*result));
      });
}

void ReferenceKeeper::Release(const ReferenceInput& reference,
                              std::function<void(absl::Status)> done) {
  auto hold = Parse(reference);
  if (!hold.ok()) return done(hold.status());
  store_.Write(
      [hold = *std::move(hold)](FunctionWriter& writer) { return writer.RemoveHold(hold); },
      std::move(done));
}

void ReferenceKeeper::Reconcile(std::string service, const std::vector<ReferenceInput>& references,
                                Done<Reconciled> done) {
  auto wanted = [&]() -> absl::StatusOr<std::set<Hold>> {
    std::set<Hold> holds;
    if (service != kBrokerService && service != kManagerService) {
      return FieldError("service", fmt::format("{} holds no functions: expected \"{}\"",
                                               Quoted(service), kBrokerService));
    }
    if (references.size() > kReferencesMax) {
      return FieldError("references", fmt::format("has {} entries: expected at most {}",
                                                  references.size(), kReferencesMax));
    }
    for (std::size_t i = 0; i < references.size(); ++i) {
      const std::string field = fmt::format("references[{}]", i);
      auto hold = Parse(references[i]);
      if (!hold.ok()) return UnderField(field, hold.status());
      if (hold->service != service) {
        return FieldError(field + ".holder", fmt::format("{} is not a resource of {}",
                                                         Quoted(hold->holder), Quoted(service)));
      }
      holds.insert(*std::move(hold));
    }
    return holds;
  }();
  if (!wanted.ok()) return done(wanted.status());

  auto result = std::make_shared<Reconciled>();
  store_.Write(
      [result, service = std::move(service),
       wanted = *std::move(wanted)](FunctionWriter& writer) -> absl::Status {
        ASSIGN_OR_RETURN(const std::vector<Hold> present, writer.HoldsOf(service));
        for (const Hold& hold : present) {
          if (wanted.contains(hold)) continue;
          RETURN_IF_ERROR(writer.RemoveHold(hold));
          ++result->released_count;
        }
        std::map<FunctionName, bool> exists;
        for (const Hold& hold : wanted) {
          RETURN_IF_ERROR(writer.AddHold(hold));
          auto known = exists.find(hold.function);
          if (known == exists.end()) {
            ASSIGN_OR_RETURN(const bool found, writer.Exists(hold.function));
            known = exists.emplace(hold.function, found).first;
          }
          if (!known->second) {
            result->missing.push_back({TaggedText(hold.function, hold.tag), hold.holder});
          }
        }
        ASSIGN_OR_RETURN(result->revision, writer.Revision());
        return absl::OkStatus();
      },
      [result, done = std::move(done)](absl::Status status) {
        if (!status.ok()) return done(std::move(status));
        done(std::move(*result));
      });
}

}  // namespace penstock::functions
