// The newest batches, as written, so that delivery near the head never touches the disk.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "services/event-broker/storage/batch_format.h"

namespace penstock::broker {

// Thread-safe.
class BatchCache {
 public:
  struct Batch {
    BatchHeader header;
    std::shared_ptr<const std::string> bytes;  // Header first.
    RecordMarks marks;
  };

  explicit BatchCache(std::size_t bytes_max) : bytes_max_(bytes_max) {}

  // Adds the batch behind all others and lets the oldest go when there is too much.
  void Add(Batch batch);
  // The batch that holds `sequence`.
  std::optional<Batch> Find(Sequence sequence) const;

 private:
  const std::size_t bytes_max_;
  mutable std::mutex mutex_;
  std::deque<Batch> batches_;
  std::size_t bytes_ = 0;
};

}  // namespace penstock::broker
