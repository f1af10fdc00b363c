// The subscriptions of the simulation, and the steps in which they change: those of the catalog.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "services/event-broker/delivery/delivery_shell.h"
#include "services/event-broker/ports/event_log.h"
#include "tests/sim/flaw.h"
#include "tests/sim/oracle.h"
#include "tests/sim/sim_store.h"

namespace penstock::broker::sim {

// Of one run of the broker. A change is stored as pending, takes its place in the log, is activated
// with that place, and then told to delivery.
class SimCatalog final : public RevisionSource {
 public:
  SimCatalog(EventLog& log, SimStore& store, Oracle& oracle, Flaw flaw)
      : log_(log), store_(store), oracle_(oracle), flaw_(flaw) {}

  void Load(std::vector<StoredRevision> revisions);
  // What delivery starts with.
  void Fill(DeliveryStart& start) const;
  // `change` tells delivery.
  void Connect(std::function<void(std::shared_ptr<const Subscription>)> change) {
    change_ = std::move(change);
  }
  // Gives revisions that are still pending their control records.
  void CompletePending();

  // A new subscription, or a new revision of one: of what it matches.
  void Save(Subscription subscription);
  void Delete(const std::string& uid);
  // Everything that needs no place in the log.
  void UpdateInPlace(Subscription subscription);

  // Live ones that are not changing now.
  std::vector<Subscription> Idle() const;
  std::vector<Subscription> Live() const;
  bool changing() const { return !busy_.empty(); }
  std::shared_ptr<const StoredRevision> FindRevision(const std::string& uid,
                                                     std::int64_t match_revision) const override;

 private:
  using Key = std::pair<std::string, std::int64_t>;

  void ReplaceByNewest(StoredRevision& revision) const;
  void AppendControl(const StoredRevision& revision);
  void Activate(StoredRevision revision, Sequence sequence);

  EventLog& log_;
  SimStore& store_;
  Oracle& oracle_;
  const Flaw flaw_;
  std::function<void(std::shared_ptr<const Subscription>)> change_;
  std::map<Key, StoredRevision> revisions_;
  std::map<std::string, Subscription> live_;
  std::set<std::string> busy_;  // Uids.
};

}  // namespace penstock::broker::sim
