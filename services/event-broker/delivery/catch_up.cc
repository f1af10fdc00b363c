#include "services/event-broker/delivery/catch_up.h"

#include <algorithm>
#include <chrono>
#include <set>

#include "libs/log/log.h"

namespace penstock::broker {
namespace {

using namespace std::chrono_literals;

// Reads that fail are not repeated faster than this.
constexpr Microseconds kPauseAfterError = 1s;

// Lets the pass skip what nothing in `views` can match.
class Narrower {
 public:
  void Add(const RevisionHistory& history) {
    for (const auto& [sequence, revision] : history) {
      spaces_.insert(revision->space());
      all_types_ = all_types_ || !revision->type().exact();
      types_.insert(revision->type().text());
    }
  }
  ScanFilter Filter() const {
    ScanFilter filter;
    filter.control_records = false;
    filter.spaces = {spaces_.begin(), spaces_.end()};
    if (!all_types_) filter.types = {types_.begin(), types_.end()};
    return filter;
  }
  bool nothing() const { return spaces_.empty(); }

 private:
  std::set<std::string> spaces_;
  std::set<std::string> types_;
  bool all_types_ = false;
};

}  // namespace

CatchUp::CatchUp(EventLog& log, Background& background, const Clock& clock, CatchUpOptions options,
                 DeliveryStats& stats, std::function<void(ScanAnswer)> answer)
    : log_(log),
      background_(background),
      clock_(clock),
      options_(options),
      stats_(stats),
      answer_(std::move(answer)) {}

void CatchUp::Scan(ScanOrder order, View view) {
  jobs_.push_back({std::move(order), std::move(view), 0, nullptr});
}

void CatchUp::Count(Sequence from, Sequence to, View view,
                    std::function<void(absl::StatusOr<std::int64_t>)> done) {
  jobs_.push_back({{"", from, to, options_.pass_events}, std::move(view), 0, std::move(done)});
}

void CatchUp::Forget(const std::string& uid) {
  std::erase_if(jobs_, [&](const Job& job) { return job.order.uid == uid && !job.done; });
}

void CatchUp::Turn(bool head_late) {
  head_was_late_ = head_was_late_ || head_late;
  if (!waiting() || (next_at_ && clock_.Monotonic() < *next_at_)) return;
  next_at_.reset();
  Begin();
}

// The first job, and those that begin within its reach.
void CatchUp::Begin() {
  running_ = true;
  auto pass = std::make_shared<Pass>();
  const Sequence from = jobs_.front().order.from;
  std::deque<Job> later;
  for (Job& job : jobs_) {
    const bool near = job.order.from >= from && job.order.from - from < options_.share_span;
    if (near) {
      pass->jobs.push_back(std::move(job));
    } else {
      later.push_back(std::move(job));
    }
  }
  jobs_ = std::move(later);
  background_.Run(Background::Lane::kScan, [this, pass]() -> Background::Message {
    const MonotonicTime began = clock_.Monotonic();
    RunPass(log_, options_, *pass);
    pass->took = clock_.Monotonic() - began;
    return [this, pass] { Finish(*pass); };
  });
}

void CatchUp::RunPass(EventLog& log, const CatchUpOptions& options, Pass& pass) {
  Narrower narrower;
  ScanRequest request;
  request.from = pass.jobs.front().order.from;
  request.to = request.from;
  request.events_max = options.pass_events;
  request.bytes_max = options.pass_bytes;
  for (const Job& job : pass.jobs) {
    request.to = std::max(request.to, job.order.to);
    if (job.view.history != nullptr) narrower.Add(*job.view.history);
    pass.answers.push_back({job.order.uid, {}, job.order.from, std::nullopt});
  }
  if (narrower.nothing()) {
    for (std::size_t i = 0; i < pass.jobs.size(); ++i) {
      pass.answers[i].next = pass.jobs[i].order.to + 1;
    }
    return;
  }
  request.filter = narrower.Filter();
  const auto result = log.Scan(request);
  if (absl::IsOutOfRange(result.status())) return ReportGone(log.horizon(), pass);
  pass.status = result.status();
  if (!pass.status.ok()) return;
  if (result->lost) {
    log::Error("a damaged part of the log is skipped",
               {{"reason", std::string(result->damage().message())}});
  }
  for (const EventRecord& record : result->records) {
    ++pass.records;
    pass.bytes += record.body.size();
    if (record.kind == RecordKind::kEvent) Match(record, pass);
  }
  for (std::size_t i = 0; i < pass.jobs.size(); ++i) {
    const ScanOrder& order = pass.jobs[i].order;
    if (pass.answers[i].positions.size() >= order.positions_max) continue;
    pass.answers[i].next = std::clamp(result->next, order.from, order.to + 1);
  }
}

void CatchUp::Match(const EventRecord& record, Pass& pass) {
  const CloudEventAttributes attributes(record);
  for (std::size_t i = 0; i < pass.jobs.size(); ++i) {
    const auto& [order, view, counted, done] = pass.jobs[i];
    ScanAnswer& answer = pass.answers[i];
    const bool wanted = record.sequence >= order.from && record.sequence <= order.to &&
                        answer.positions.size() < order.positions_max;
    if (!wanted || view.history == nullptr) continue;
    const CompiledSubscription* in_force = InForceAt(*view.history, record.sequence);
    if (in_force == nullptr || !in_force->Matches({record.space, record.type, &attributes})) {
      continue;
    }
    answer.positions.push_back(PositionOf(record, attributes, view.ordered_by));
    answer.next = record.sequence + 1;
  }
}

// Retention was faster than these lanes.
void CatchUp::ReportGone(Sequence horizon, Pass& pass) {
  for (std::size_t i = 0; i < pass.jobs.size(); ++i) {
    const ScanOrder& order = pass.jobs[i].order;
    if (order.from >= horizon) continue;
    pass.answers[i].gone.emplace(order.from, std::min(order.to, horizon - 1));
    pass.answers[i].next = std::min(order.to + 1, horizon);
  }
}

void CatchUp::Finish(Pass& pass) {
  running_ = false;
  ++stats_.scan_passes;
  stats_.scan_records += pass.records;
  if (!pass.status.ok()) {
    log::Warn("reading the log failed", {{"reason", std::string(pass.status.message())}});
    next_at_ = clock_.Monotonic() + kPauseAfterError;
  } else if (head_was_late_) {
    // The head gets the rest of the time and of the disk.
    const auto for_cpu = pass.took * (100 - options_.cpu_percent) / options_.cpu_percent;
    const Microseconds for_disk(
        static_cast<std::int64_t>(pass.bytes * 1'000'000 / options_.bytes_per_second));
    next_at_ = clock_.Monotonic() + std::max<Microseconds>(for_cpu, for_disk);
  }
  head_was_late_ = false;
  for (std::size_t i = 0; i < pass.jobs.size(); ++i) {
    Job& job = pass.jobs[i];
    ScanAnswer& answer = pass.answers[i];
    if (job.done && !pass.status.ok()) {
      job.done(pass.status);
    } else if (job.done) {
      FinishCount(std::move(job), answer);
    } else if (answer.next == job.order.from) {
      jobs_.push_back(std::move(job));  // Not reached by this pass.
    } else {
      answer_(std::move(answer));
    }
  }
}

void CatchUp::FinishCount(Job job, const ScanAnswer& answer) {
  job.counted += static_cast<std::int64_t>(answer.positions.size());
  job.order.from = answer.next;
  if (job.order.from > job.order.to) return job.done(job.counted);
  jobs_.push_back(std::move(job));
}

}  // namespace penstock::broker
