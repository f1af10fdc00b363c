#include "services/event-broker/storage/batch_cache.h"

#include <algorithm>

namespace penstock::broker {
namespace {
constexpr std::size_t kOverhead =
    256;  // What an entry costs beside its bytes, so that tiny batches count too.
}

void BatchCache::Add(Batch batch) {
  const std::lock_guard lock(mutex_);
  bytes_ += batch.bytes->size() + kOverhead;
  batches_.push_back(std::move(batch));
  while (bytes_ > bytes_max_ && !batches_.empty()) {
    bytes_ -= batches_.front().bytes->size() + kOverhead;
    batches_.pop_front();
  }
}

std::optional<BatchCache::Batch> BatchCache::Find(Sequence sequence) const {
  const std::lock_guard lock(mutex_);
  const auto at = std::partition_point(batches_.begin(), batches_.end(), [&](const Batch& batch) {
    return batch.header.last_sequence() < sequence;
  });
  if (at == batches_.end() || at->header.first_sequence > sequence) return std::nullopt;
  return *at;
}

}  // namespace penstock::broker
