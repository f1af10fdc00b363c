// Turns waiting appends into one durable batch: duplicates, encoding, writing, verdicts.
#pragma once

#include <functional>
#include <vector>

#include "libs/base/time.h"
#include "services/event-broker/storage/append_queue.h"
#include "services/event-broker/storage/batch_cache.h"
#include "services/event-broker/storage/dedup_table.h"
#include "services/event-broker/storage/publish_gate.h"
#include "services/event-broker/storage/segment_writer.h"

namespace penstock::broker {

// Used by one thread at a time. The arguments must outlive it.
class Committer {
 public:
  Committer(SegmentWriter& writer, DedupTable& dedup, const HashKey& dedup_key, BatchCache& cache,
            PublishGate& gate, const Clock& clock, std::size_t record_bytes_max)
      : writer_(writer),
        dedup_(dedup),
        dedup_key_(dedup_key),
        cache_(cache),
        gate_(gate),
        clock_(clock),
        record_bytes_max_(record_bytes_max) {}

  struct Outcome {
    // Not OK: nothing of this commit was stored; the code is what SegmentWriter gave.
    absl::Status status;
    std::vector<std::vector<AppendResult>> results;  // One list per call.
    Sequence head = kNoSequence;  // The last sequence stored; kNoSequence when nothing was new.
  };

  // Decides and stores. `failure` makes the status that failed events get from the writer's error.
  Outcome Commit(const std::vector<AppendCall>& calls,
                 const std::function<absl::Status(const absl::Status&)>& failure);

 private:
  void Decide(const AppendRequest& request, const Hash128& hash, BatchBuilder& builder,
              AppendResult& result);

  SegmentWriter& writer_;
  DedupTable& dedup_;
  const HashKey dedup_key_;
  BatchCache& cache_;
  PublishGate& gate_;
  const Clock& clock_;
  const std::size_t record_bytes_max_;
  std::vector<Hash128> hashes_;
};

// Whether the table decides about a request.
bool IsDeduplicated(RecordKind kind, std::string_view id);
// The hash under which the table knows an event.
Hash128 DedupHash(const HashKey& key, std::string_view space, std::string_view source,
                  std::string_view id);

}  // namespace penstock::broker
