// The subscriptions that exist, and the order of steps in which they change.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/time.h"
#include "services/event-broker/domain/catalog/subscription.h"
#include "services/event-broker/ports/delivery_control.h"
#include "services/event-broker/ports/event_log.h"
#include "services/event-broker/ports/function_references.h"
#include "services/event-broker/ports/state_store.h"

namespace penstock::broker {

// A path of the front door as gateways learn it.
struct Route {
  std::string uid;
  std::string subscription;  // Its name.
  HttpRoute http;
  std::string function;  // Its name.
  bool publish = false;  // Asynchronous subscriptions match the request as an event.

  friend bool operator==(const Route&, const Route&) = default;
};

// Changes of routes, in order. `deleted` holds names of subscriptions.
struct RouteChanges {
  std::int64_t revision = 0;
  bool snapshot = false;
  std::vector<Route> routes;
  std::vector<std::string> deleted;
};

// Every mutation goes the same way: it is checked, its start is found in the log, its functions are
// held, the new revision is stored as pending, a control record takes its place in the log, the
// revision is activated with that sequence, and only then it is answered. The sequence is the
// catalog's revision. Thread-safe; never blocks; `done` is called exactly once, in the call or on a
// thread of one of the ports.
class SubscriptionCatalog final : public RevisionSource {
 public:
  struct Changed {
    Subscription subscription;
    std::int64_t catalog_revision = 0;
    // Of a deletion: deliveries that were given up with it. At least so many when the subscription
    // was reading older parts of the log.
    std::int64_t dropped = 0;
  };
  using Done = std::function<void(absl::StatusOr<Changed>)>;
  // Runs work that may block on another thread; false when too much of it waits. What it was given
  // ends before the catalog does.
  using RunBlocking = std::function<bool(std::function<void()>)>;

  SubscriptionCatalog(EventLog& log, StateStore& store, FunctionReferences& references,
                      const Clock& clock, RunBlocking run_blocking);

  // Takes over what the store holds. Before anything else.
  void Load(std::vector<StoredRevision> revisions);
  // Delivery that is told about changes; before the first mutation.
  void Connect(DeliveryControl& delivery) { delivery_ = &delivery; }
  // Gives every revision that is still pending its control record. Called once delivery runs; what
  // fails is tried again by Maintain.
  void CompletePending();
  // Tries again what the store or the log could not take, and lets revisions go that nothing in the
  // log can meet any more. To be called every second or so.
  void Maintain();

  // Every function that is held, also for mutations on their way.
  std::vector<FunctionReferences::Reference> References() const;
  // Tells a reconciliation whether it has to be done again.
  struct ReferenceCounts {
    std::uint64_t changes = 0;  // Holds begun or ended.
    std::uint64_t doubts = 0;   // Releases whose outcome is not known.
    std::size_t in_flight = 0;  // Holds that begin or end right now.
  };
  ReferenceCounts reference_counts() const;

  struct CreateRequest {
    Subscription subscription;  // With space, id and user fields; the rest is set here.
    bool validate_only = false;
    // Of a deleted subscription of the same name: the new one goes on where it ended.
    std::string adopt_uid;
  };
  void Create(CreateRequest request, Done done);
  // Replaces the user fields by what `edit` makes of the current ones. An empty `etag` is not
  // checked.
  struct UpdateRequest {
    std::string space;
    std::string id;
    std::string etag;
    bool validate_only = false;
    std::function<absl::Status(Subscription&)> edit;
  };
  void Update(UpdateRequest request, Done done);
  struct DeleteRequest {
    std::string space;
    std::string id;
    std::string etag;
    bool force = false;
  };
  void Delete(DeleteRequest request, Done done);

  // Nothing new is sent; the position is kept, and so is the end of a drain.
  void Pause(const std::string& space, const std::string& id, Done done);
  // Ends a pause or a drain.
  void Resume(const std::string& space, const std::string& id, Done done);
  // Nothing above the place of this change in the log is delivered; then it is paused.
  void Drain(const std::string& space, const std::string& id, Done done);
  // From delivery: everything up to `drain_to` is done. The pause is tried again until it is
  // durable.
  void Drained(const std::string& uid, Sequence drain_to);

  absl::StatusOr<Subscription> Get(const std::string& space, const std::string& id) const;
  // By id, from the first above `after` on, at most `limit` that `wanted` accepts.
  std::vector<Subscription> List(const std::string& space, const std::string& after,
                                 std::size_t limit,
                                 const std::function<bool(const Subscription&)>& wanted) const;
  // All live subscriptions, of all spaces.
  std::vector<Subscription> All() const;
  std::optional<Subscription> FindByUid(const std::string& uid) const;
  std::set<std::string> Spaces() const;

  // All live revisions in the order in which they took effect, for the start of delivery.
  std::vector<std::shared_ptr<const StoredRevision>> Revisions() const;
  std::shared_ptr<const StoredRevision> FindRevision(const std::string& uid,
                                                     std::int64_t match_revision) const override;

  // The revisions that were in force at `sequence` in a space, one of each subscription, also of
  // those deleted since and kept; none of paths. By uid from the first above `after` on, out of at
  // most `uids_max` uids of all spaces.
  struct History {
    std::vector<std::shared_ptr<const StoredRevision>> revisions;
    std::string next;  // What to give as `after` to go on; empty at the end.
  };
  History InForce(const std::string& space, Sequence sequence, const std::string& after,
                  std::size_t uids_max) const;

  // A snapshot at once, then changes, under the catalog's lock: the listener must not call back.
  // Returns an id for Unwatch.
  std::int64_t WatchRoutes(std::function<void(const RouteChanges&)> listener);
  void Unwatch(std::int64_t id);
  std::int64_t revision() const;

 private:
  using Key = std::pair<std::string, std::string>;  // Space and id.

  // A mutation on its way. Its name stays reserved until it ends.
  struct Mutation {
    Subscription before;  // Empty uid for a creation.
    Subscription after;
    bool deletes = false;
    bool rematches = false;  // Needs a stored revision of its own.
    bool drains = false;     // Gets its `drain_to` from the control record, and is stored after it.
    bool resumed = false;    // Was pending at the start: nobody waits, and it is not given up.
    std::vector<std::string> acquires;  // Functions to hold newly; in `acquiring_` meanwhile.
    std::size_t held = 0;               // How many of them are held.
    std::string adopt_uid;
    int adopt_tries = 0;
    std::shared_ptr<const SavedLane> adopted;
    std::unique_ptr<LogPin> pin;  // Keeps the events that it starts with.
    std::int64_t dropped = 0;
    Done done;
  };
  using MutationPtr = std::shared_ptr<Mutation>;

  absl::Status Check(const Mutation& mutation) const;
  absl::Status CheckNow(const Mutation& mutation) const;
  absl::Status Reserve(const Mutation& mutation);
  absl::Status CheckRouteIsFree(const Subscription& subscription) const;
  absl::Status CheckAdoption(Mutation& mutation) const;
  void ResolveStart(const MutationPtr& mutation, std::function<void(absl::Status)> done);
  void ResolveStartTime(const MutationPtr& mutation, std::function<void(absl::Status)> done);
  absl::Status StartAt(Mutation& mutation, Sequence sequence) const;
  void Run(MutationPtr mutation);
  void AcquireNext(MutationPtr mutation);
  void Save(MutationPtr mutation);
  void SaveAdopting(MutationPtr mutation);
  void Saved(const MutationPtr& mutation);
  void SaveDrain(const MutationPtr& mutation, Sequence sequence);
  void AppendControl(MutationPtr mutation);
  void Activate(MutationPtr mutation, Sequence sequence);
  void Finish(MutationPtr mutation, Sequence sequence);
  void End(const MutationPtr& mutation, Sequence sequence);
  void Fail(const MutationPtr& mutation, const absl::Status& status);
  void Undo(const MutationPtr& mutation, const absl::Status& status);
  void Park(std::function<void()> again);
  void Free(const Mutation& mutation);
  void Release(std::vector<std::string> functions, const Subscription& holder,
               std::function<void()> done);
  void Steer(const std::string& space, const std::string& id, SubscriptionState state, Done done);
  void Forget(Sequence horizon);
  void AskForStarted();
  void Started(const std::string& uid);
  void NotifyRoutes(Sequence sequence);
  std::map<std::string, Route> ComputeRoutes() const;

  EventLog& log_;
  StateStore& store_;
  FunctionReferences& references_;
  const Clock& clock_;
  const RunBlocking run_blocking_;
  DeliveryControl* delivery_ = nullptr;

  mutable std::mutex mutex_;
  std::map<Key, Subscription> live_;
  std::map<std::string, Key> by_uid_;
  std::map<std::pair<std::string, std::int64_t>, std::shared_ptr<const StoredRevision>> revisions_;
  std::set<Key> busy_;
  std::set<std::string> reserved_routes_;
  // Names of functions and of their holders.
  std::multiset<std::pair<std::string, std::string>> acquiring_;
  ReferenceCounts
      reference_counts_;  // `in_flight` counts releases only; acquisitions are in `acquiring_`.
  // By uid: pins of subscriptions that start in the past, until delivery has pins of its own.
  std::map<std::string, std::unique_ptr<LogPin>> starting_;
  std::vector<std::function<void()>> parked_;  // Steps that Maintain tries again.
  Sequence pruned_to_ = kNoSequence;
  std::map<std::string, Route> routes_;  // By name of the subscription.
  std::map<std::int64_t, std::function<void(const RouteChanges&)>> route_listeners_;
  std::int64_t next_listener_ = 1;
  std::int64_t revision_ = 0;
};

}  // namespace penstock::broker
