// The replays' part of the control plane.
#include <algorithm>
#include <utility>

#include "libs/base/ids.h"
#include "libs/base/names.h"
#include "libs/base/status.h"
#include "services/event-broker/api/event_catalog_api.h"
#include "services/event-broker/api/paging.h"
#include "services/event-broker/api/replay_range.h"
#include "services/event-broker/codec/replay_codec.h"

namespace penstock::broker {
namespace {

namespace pb = penstock::events::v1;

// Of one subscription, running or paused. Each has a lane of its own.
constexpr std::size_t kReplaysMax = 16;
// How many of the newest are looked at for that.
constexpr std::size_t kReplaysLookedAt = 1000;

bool HasEnded(const StoredReplay& replay) {
  return replay.state == ReplayState::kDone || replay.state == ReplayState::kCancelled;
}

}  // namespace

absl::StatusOr<EventCatalogApi::ReplayName> EventCatalogApi::ReplayOf(
    const std::string& name) const {
  constexpr std::string_view kReplays = "/replays/";
  const std::size_t at = name.rfind(kReplays);
  if (at == std::string::npos) {
    return FieldError("name",
                      "expected spaces/{space}/subscriptions/{subscription}/replays/{replay}");
  }
  ReplayName replay;
  replay.replay = name.substr(at + kReplays.size());
  RETURN_IF_ERROR(CheckResourceId("name", replay.replay));
  ASSIGN_OR_RETURN(const auto subscription, NameOf("name", name.substr(0, at)));
  ASSIGN_OR_RETURN(const Subscription found,
                   ports_.catalog.Get(subscription.first, subscription.second));
  replay.uid = found.uid;
  replay.subscription = found.Name();
  return replay;
}

// Runs on a reader's thread. Keeps the range in the log until delivery has a pin of its own.
void EventCatalogApi::StartReplay(const pb::ReplaySubscriptionRequest& request,
                                  const Subscription& subscription,
                                  pb::ReplaySubscriptionResponse* response,
                                  const rpc::ServerDone& done) {
  const std::shared_ptr<LogPin> pin = ports_.log.Pin(
      std::max<Sequence>(static_cast<Sequence>(request.from_sequence()), ports_.log.horizon()),
      {"a replay of " + subscription.Name(), subscription.space});
  const auto range = ResolveReplayRange(request, ports_.log);
  if (!range.ok()) return done(range.status());
  if (request.dry_run()) {
    return ports_.delivery.CountMatches(
        subscription.uid, range->from, range->to,
        [response, done, pin](const absl::StatusOr<std::int64_t>& count) {
          if (count.ok()) response->set_matched_count(*count);
          done(count.status());
        });
  }
  StoredReplay replay;
  replay.uid = subscription.uid;
  replay.replay = RandomHex(4);
  replay.from = range->from;
  replay.to = range->to;
  replay.rate_per_second = request.rate_per_second();
  replay.progress.floor = range->from - 1;
  replay.create_time = ports_.clock.Wall();
  const auto saved = [this, replay, response, done, pin,
                      name = subscription.Name()](const absl::Status& status) {
    if (!status.ok()) return done(status);
    ports_.delivery.StartReplay(replay);
    // Answered after the start has been taken in: the pin is held until then.
    ports_.delivery.GetProgress(replay.Lane(),
                                [pin](const std::optional<SubscriptionProgress>&) {});
    response->set_replay_id(replay.replay);
    *response->mutable_replay() = ToProto(replay, name);
    done(absl::OkStatus());
  };
  ports_.store.ListReplays(
      subscription.uid, "", kReplaysLookedAt,
      [this, replay, done, saved](const absl::StatusOr<std::vector<StoredReplay>>& replays) {
        if (!replays.ok()) return done(replays.status());
        const auto running = static_cast<std::size_t>(
            std::count_if(replays->begin(), replays->end(),
                          [](const StoredReplay& other) { return !HasEnded(other); }));
        if (running >= kReplaysMax) {
          return done(absl::ResourceExhaustedError(
              "the subscription has 16 replays that have not ended; cancel one or wait"));
        }
        ports_.store.SaveReplay(replay, saved);
      });
}

grpc::ServerUnaryReactor* EventCatalogApi::ReplaySubscription(
    grpc::CallbackServerContext* context, const pb::ReplaySubscriptionRequest* request,
    pb::ReplaySubscriptionResponse* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const pb::ReplaySubscriptionRequest& given, pb::ReplaySubscriptionResponse* answer,
             rpc::CallContext&, const rpc::ServerDone& done) {
        const auto name = NameOf("name", given.name());
        if (!name.ok()) return done(name.status());
        const auto found = ports_.catalog.Get(name->first, name->second);
        if (!found.ok()) return done(found.status());
        if (found->http) {
          return done(absl::FailedPreconditionError(
              "name: a subscription to a path has no events to replay"));
        }
        const auto checked = CheckReplayRequest(given, ports_.clock.Wall());
        if (!checked.ok()) return done(checked);
        Read(done, [this, &given, answer, done, subscription = *found] {
          StartReplay(given, subscription, answer, done);
        });
      });
}

grpc::ServerUnaryReactor* EventCatalogApi::ListReplays(grpc::CallbackServerContext* context,
                                                       const pb::ListReplaysRequest* request,
                                                       pb::ListReplaysResponse* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const pb::ListReplaysRequest& given, pb::ListReplaysResponse* answer,
             rpc::CallContext&, const rpc::ServerDone& done) {
        const auto list = [&]() -> absl::Status {
          ASSIGN_OR_RETURN(const auto name, NameOf("parent", given.parent()));
          ASSIGN_OR_RETURN(const Subscription found, ports_.catalog.Get(name.first, name.second));
          ASSIGN_OR_RETURN(const std::size_t page_size, CheckPageSize(given.page_size()));
          const std::string query = "replays of " + found.uid;
          ASSIGN_OR_RETURN(const std::string after, ParsePageToken(query, given.page_token()));
          ports_.store.ListReplays(
              found.uid, after, page_size + 1,
              [answer, done, query, page_size, subscription = found.Name()](
                  const absl::StatusOr<std::vector<StoredReplay>>& replays) {
                if (!replays.ok()) return done(replays.status());
                for (std::size_t i = 0; i < std::min(replays->size(), page_size); ++i) {
                  *answer->add_replays() = ToProto((*replays)[i], subscription);
                }
                if (replays->size() > page_size) {
                  answer->set_next_page_token(
                      MakePageToken(query, (*replays)[page_size - 1].replay));
                }
                done(absl::OkStatus());
              });
          return absl::OkStatus();
        };
        if (const absl::Status status = list(); !status.ok()) done(status);
      });
}

grpc::ServerUnaryReactor* EventCatalogApi::GetReplay(grpc::CallbackServerContext* context,
                                                     const pb::GetReplayRequest* request,
                                                     pb::Replay* response) {
  return rpc::ServeUnary(context, request, response,
                         [this](const pb::GetReplayRequest& given, pb::Replay* answer,
                                rpc::CallContext&, const rpc::ServerDone& done) {
                           const auto name = ReplayOf(given.name());
                           if (!name.ok()) return done(name.status());
                           ports_.store.GetReplay(name->uid, name->replay,
                                                  [answer, done, subscription = name->subscription](
                                                      const absl::StatusOr<StoredReplay>& replay) {
                                                    if (replay.ok())
                                                      *answer = ToProto(*replay, subscription);
                                                    done(replay.status());
                                                  });
                         });
}

void EventCatalogApi::SetReplayState(const std::string& name, ReplayState state,
                                     pb::Replay* response, const rpc::ServerDone& done) {
  const auto parsed = ReplayOf(name);
  if (!parsed.ok()) return done(parsed.status());
  ports_.store.SetReplayState(
      parsed->uid, parsed->replay, state, ports_.clock.Wall(),
      [this, state, response, done,
       subscription = parsed->subscription](const absl::StatusOr<StoredReplay>& replay) {
        if (!replay.ok()) return done(replay.status());
        if (state == ReplayState::kCancelled) {
          ports_.delivery.EndReplay(replay->Lane());
        } else {
          ports_.delivery.SetReplayPaused(replay->Lane(), state == ReplayState::kPaused);
        }
        *response = ToProto(*replay, subscription);
        done(absl::OkStatus());
      });
}

grpc::ServerUnaryReactor* EventCatalogApi::PauseReplay(grpc::CallbackServerContext* context,
                                                       const pb::PauseReplayRequest* request,
                                                       pb::Replay* response) {
  return rpc::ServeUnary(context, request, response,
                         [this](const pb::PauseReplayRequest& given, pb::Replay* answer,
                                rpc::CallContext&, const rpc::ServerDone& done) {
                           SetReplayState(given.name(), ReplayState::kPaused, answer, done);
                         });
}

grpc::ServerUnaryReactor* EventCatalogApi::ResumeReplay(grpc::CallbackServerContext* context,
                                                        const pb::ResumeReplayRequest* request,
                                                        pb::Replay* response) {
  return rpc::ServeUnary(context, request, response,
                         [this](const pb::ResumeReplayRequest& given, pb::Replay* answer,
                                rpc::CallContext&, const rpc::ServerDone& done) {
                           SetReplayState(given.name(), ReplayState::kRunning, answer, done);
                         });
}

grpc::ServerUnaryReactor* EventCatalogApi::CancelReplay(grpc::CallbackServerContext* context,
                                                        const pb::CancelReplayRequest* request,
                                                        pb::Replay* response) {
  return rpc::ServeUnary(context, request, response,
                         [this](const pb::CancelReplayRequest& given, pb::Replay* answer,
                                rpc::CallContext&, const rpc::ServerDone& done) {
                           SetReplayState(given.name(), ReplayState::kCancelled, answer, done);
                         });
}

}  // namespace penstock::broker
