#include "services/event-broker/storage/committer.h"

namespace penstock::broker {

bool IsDeduplicated(RecordKind kind, std::string_view id) {
  return kind == RecordKind::kEvent && !id.empty();
}

Hash128 DedupHash(const HashKey& key, std::string_view space, std::string_view source,
                  std::string_view id) {
  return HashParts(key, {space, source, id});
}

Committer::Outcome Committer::Commit(
    const std::vector<AppendCall>& calls,
    const std::function<absl::Status(const absl::Status&)>& failure) {
  dedup_.Advance(clock_.Monotonic());
  // All hashes first: the table's memory is on its way while the others are computed.
  hashes_.clear();
  std::size_t bytes = 0;
  for (const AppendCall& call : calls) {
    bytes += call.bytes;
    for (const AppendRequest& request : call.requests) {
      hashes_.push_back(IsDeduplicated(request.kind, request.id)
                            ? DedupHash(dedup_key_, request.space, request.source, request.id)
                            : Hash128{});
      dedup_.Prefetch(hashes_.back());
    }
  }
  const std::uint64_t mark = dedup_.mark();
  const Sequence first = writer_.next_sequence();
  BatchBuilder builder(first, ToUnixMicros(clock_.Wall()), bytes);
  Outcome outcome;
  outcome.results.reserve(calls.size());
  auto hash = hashes_.begin();
  for (const AppendCall& call : calls) {
    std::vector<AppendResult>& results = outcome.results.emplace_back(call.requests.size());
    for (std::size_t i = 0; i < results.size(); ++i) {
      Decide(call.requests[i], *hash++, builder, results[i]);
    }
  }
  if (builder.count() == 0) return outcome;

  outcome.status = writer_.Prepare();
  if (outcome.status.ok()) {
    BatchHeader header = writer_.NextHeader();
    auto batch = std::make_shared<const std::string>(builder.Finish(header));
    outcome.status = writer_.Commit(header, *batch);
    if (outcome.status.ok()) {
      cache_.Add({header, std::move(batch), builder.TakeMarks()});
      outcome.head = header.last_sequence();
      return outcome;
    }
  }
  dedup_.TakeBackTo(mark);
  const absl::Status failed = failure(outcome.status);
  for (std::vector<AppendResult>& results : outcome.results) {
    for (AppendResult& result : results) {
      // A duplicate of an event in this very commit fails with it; one of a durable event stands.
      if (result.verdict == AppendVerdict::kFailed || result.sequence < first) continue;
      result = {.verdict = AppendVerdict::kFailed, .status = failed};
    }
  }
  return outcome;
}

void Committer::Decide(const AppendRequest& request, const Hash128& hash, BatchBuilder& builder,
                       AppendResult& result) {
  if (absl::Status checked = CheckAppendRequest(request, record_bytes_max_); !checked.ok()) {
    result.status = std::move(checked);
    return;
  }
  const std::uint64_t content = ContentHashOf(request);
  const bool deduplicated = IsDeduplicated(request.kind, request.id);
  if (deduplicated) {
    if (const DedupTable::Entry* known = dedup_.Find(hash)) {
      result.verdict = AppendVerdict::kDuplicate;
      result.sequence = known->sequence;
      result.content_differs = known->content != content;
      return;
    }
  }
  // After the table: what is stored already is a duplicate whatever the space may take. Control
  // records are the broker's own.
  if (request.kind == RecordKind::kEvent && !request.is_internal) {
    if (absl::Status open = gate_.Check(request.space); !open.ok()) {
      result.status = std::move(open);
      return;
    }
  }
  result.verdict = AppendVerdict::kAccepted;
  result.sequence = builder.Add(request, content);
  if (deduplicated) dedup_.Insert({hash, result.sequence, content});
}

}  // namespace penstock::broker
