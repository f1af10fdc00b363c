#include "services/function-executor/api/execution_directory.h"

#include <fmt/format.h>
#include <penstock/internal/v1/invocation.pb.h>

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <mutex>
#include <unordered_set>
#include <utility>
#include <vector>

#include "libs/base/names.h"
#include "libs/base/status.h"
#include "libs/rpc/unary_call.h"
#include "services/function-executor/api/convert.h"
#include "services/function-executor/domain/execution_id.h"
#include "services/function-executor/domain/page_token.h"

namespace penstock::executor {
namespace {

namespace pb = executions::v1;
namespace ipb = internal::v1;

constexpr char kListMethod[] = "/penstock.internal.v1.InvocationService/ListLocalExecutions";
constexpr char kGetMethod[] = "/penstock.internal.v1.InvocationService/GetLocalExecution";
// A peer that does not answer must not hold up the answer of the others for longer.
constexpr std::chrono::milliseconds kPeerTimeout{3'000};

std::string_view IdOf(const std::string& name) {
  return std::string_view(name).substr(name.rfind('/') + 1);
}

std::int64_t StartMicros(const pb::Execution& execution) {
  return execution.start_time().seconds() * 1'000'000 + execution.start_time().nanos() / 1'000;
}

bool IsNewer(const pb::Execution& a, const pb::Execution& b) {
  const std::int64_t start_a = StartMicros(a);
  const std::int64_t start_b = StartMicros(b);
  return start_a != start_b ? start_a > start_b : IdOf(a.name()) > IdOf(b.name());
}

rpc::CallOptions PeerCall(const std::shared_ptr<const rpc::PeerAuth>& peer_auth,
                          const std::shared_ptr<rpc::Cancellation>& cancellation) {
  rpc::CallOptions options;
  options.timeout = kPeerTimeout;
  options.peer_auth = peer_auth;
  options.cancellation = cancellation;
  return options;
}

}  // namespace

// A list under way: collects answers until all have come.
class ExecutionDirectory::Listing {
 public:
  Listing(ExecutionQuery query, std::size_t answers, ListDone done)
      : query_(std::move(query)), missing_(answers), done_(std::move(done)) {}

  void OnOwn(absl::StatusOr<std::vector<ExecutionRecord>> records) {
    if (!records.ok()) return OnAnswer([&] { failure_ = records.status(); });
    // Converting takes a while (bodies are parsed), so it is done outside the lock.
    std::vector<pb::Execution> converted;
    converted.reserve(records->size());
    for (const ExecutionRecord& record : *records) converted.push_back(ToProto(record));
    OnAnswer([&] {
      Add(std::make_move_iterator(converted.begin()), std::make_move_iterator(converted.end()));
    });
  }

  void OnPeer(const std::string& address, absl::StatusOr<ipb::ListLocalExecutionsResponse> answer) {
    OnAnswer([&] {
      if (answer.ok()) {
        Add(std::make_move_iterator(answer->mutable_executions()->begin()),
            std::make_move_iterator(answer->mutable_executions()->end()));
      } else {
        unreachable_.push_back(address);
      }
    });
  }

 private:
  template <typename Iterator>
  void Add(Iterator begin, Iterator end) {
    // The peers' name may stand for this executor too: a record counts once.
    for (; begin != end; ++begin) {
      pb::Execution execution = *begin;
      if (seen_.insert(execution.name()).second) found_.push_back(std::move(execution));
    }
  }

  template <typename Change>
  void OnAnswer(const Change& change) {
    {
      const std::lock_guard lock(mutex_);
      change();
      if (--missing_ > 0) return;
    }
    Finish();
  }

  void Finish() {
    if (!failure_.ok()) return done_(failure_);
    std::sort(found_.begin(), found_.end(), IsNewer);
    pb::ListExecutionsResponse response;
    const std::size_t count = std::min(found_.size(), query_.limit);
    for (std::size_t i = 0; i < count; ++i) *response.add_executions() = std::move(found_[i]);
    // Each was asked for a whole page: a full one means that there may be more.
    if (count == query_.limit && count > 0) {
      const pb::Execution& last = response.executions(static_cast<int>(count) - 1);
      response.set_next_page_token(
          MakePageToken({StartMicros(last), std::string(IdOf(last.name()))}, query_));
    }
    std::sort(unreachable_.begin(), unreachable_.end());
    for (std::string& address : unreachable_) response.add_unreachable(std::move(address));
    done_(std::move(response));
  }

  const ExecutionQuery query_;
  std::mutex mutex_;
  std::size_t missing_;
  const ListDone done_;
  absl::Status failure_;
  std::unordered_set<std::string> seen_;
  std::vector<pb::Execution> found_;
  std::vector<std::string> unreachable_;
};

// A search for one record under way: ends with the first that has it.
class ExecutionDirectory::Search {
 public:
  Search(std::size_t answers, std::string name, GetDone done)
      : name_(std::move(name)), missing_(answers), done_(std::move(done)) {}

  void OnAnswer(const std::string& address, absl::StatusOr<pb::Execution> answer) {
    {
      const std::lock_guard lock(mutex_);
      if (!answer.ok() && answer.status().code() != absl::StatusCode::kNotFound) {
        unreachable_.push_back(address);
      }
      --missing_;
      if (ended_ || (!answer.ok() && missing_ > 0)) return;
      ended_ = true;
    }
    if (answer.ok()) return done_(std::move(answer));
    if (unreachable_.empty()) {
      return done_(absl::NotFoundError(fmt::format("there is no {} (any more)", name_)));
    }
    done_(absl::UnavailableError(
        fmt::format("{} is not on the executors that answered; could not be asked: {}", name_,
                    fmt::join(unreachable_, ", "))));
  }

 private:
  const std::string name_;
  std::mutex mutex_;
  std::size_t missing_;
  bool ended_ = false;
  const GetDone done_;
  std::vector<std::string> unreachable_;
};

ExecutionDirectory::ExecutionDirectory(const ExecutionReader& reader, std::string instance,
                                       rpc::ReplicaSet* peers,
                                       std::shared_ptr<const rpc::PeerAuth> peer_auth)
    : reader_(reader),
      instance_(std::move(instance)),
      peers_(peers),
      peer_auth_(std::move(peer_auth)) {}

void ExecutionDirectory::List(const pb::ListExecutionsRequest& request,
                              const std::shared_ptr<rpc::Cancellation>& cancellation,
                              ListDone done) const {
  auto parsed = FromProto(request);
  if (!parsed.ok()) return done(parsed.status());
  ExecutionQuery query = *std::move(parsed);
  if (!request.page_token().empty()) {
    auto before = ParsePageToken(request.page_token(), query);
    if (!before.ok()) return done(before.status());
    query.before = *std::move(before);
  }
  const std::vector<rpc::Replica> peers =
      peers_ == nullptr ? std::vector<rpc::Replica>() : peers_->replicas();
  const auto listing = std::make_shared<Listing>(query, peers.size() + 1, std::move(done));
  ipb::ListLocalExecutionsRequest local;
  pb::ListExecutionsRequest forwarded = request;
  forwarded.clear_page_token();
  local.set_request(forwarded.SerializeAsString());
  if (query.before) {
    local.set_before_start_micros(query.before->start_micros);
    local.set_before_id(query.before->id);
  }
  for (const rpc::Replica& peer : peers) {
    rpc::CallUnary<ipb::ListLocalExecutionsResponse>(
        peer.channel, kListMethod, local, PeerCall(peer_auth_, cancellation),
        [listing, address = peer.address](auto answer, const rpc::ResponseMetadata&) {
          listing->OnPeer(address, std::move(answer));
        });
  }
  reader_.List(query, [listing](absl::StatusOr<std::vector<ExecutionRecord>> records) {
    listing->OnOwn(std::move(records));
  });
}

void ExecutionDirectory::Get(const std::string& name,
                             const std::shared_ptr<rpc::Cancellation>& cancellation,
                             GetDone done) const {
  const auto parsed = ParseResourceName("name", "executions", name);
  if (!parsed.ok()) return done(parsed.status());
  const std::vector<rpc::Replica> peers =
      peers_ == nullptr ? std::vector<rpc::Replica>() : peers_->replicas();
  if (peers.empty() || InstanceOf(parsed->id) == instance_) {
    return reader_.Get(parsed->space, parsed->id,
                       [done = std::move(done)](absl::StatusOr<ExecutionRecord> record) {
                         if (!record.ok()) return done(record.status());
                         done(ToProto(*record));
                       });
  }
  const auto search = std::make_shared<Search>(peers.size(), name, std::move(done));
  ipb::GetLocalExecutionRequest request;
  request.set_name(name);
  for (const rpc::Replica& peer : peers) {
    rpc::CallUnary<pb::Execution>(
        peer.channel, kGetMethod, request, PeerCall(peer_auth_, cancellation),
        [search, address = peer.address](auto answer, const rpc::ResponseMetadata&) {
          search->OnAnswer(address, std::move(answer));
        });
  }
}

}  // namespace penstock::executor
