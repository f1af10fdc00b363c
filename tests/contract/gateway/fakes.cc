#include "tests/contract/gateway/fakes.h"

#include <fmt/format.h>

#include <deque>

#include "libs/base/status.h"
#include "libs/rpc/metadata.h"

namespace penstock::gateway {

std::vector<std::string> SeenCall::Metadata(const std::string& key) const {
  std::vector<std::string> values;
  for (const auto& [name, value] : metadata) {
    if (name == key) values.push_back(value);
  }
  return values;
}

void SeenCalls::Add(std::string method, const rpc::CallContext& context) {
  const std::lock_guard lock(mutex_);
  calls_.push_back({std::move(method), context.metadata()});
}

std::vector<SeenCall> SeenCalls::all() const {
  const std::lock_guard lock(mutex_);
  return calls_;
}

SeenCall SeenCalls::last() const {
  const std::lock_guard lock(mutex_);
  return calls_.empty() ? SeenCall() : calls_.back();
}

struct FakeBroker::Session {
  std::mutex mutex;
  std::deque<events::v1::PublishReceipt> receipts;

  bool Fill(events::v1::PublishStreamResponse& message) {
    const std::lock_guard lock(mutex);
    for (; !receipts.empty(); receipts.pop_front()) *message.add_receipts() = receipts.front();
    return message.receipts_size() > 0;
  }
};

void FakeBroker::SetMode(PublishMode mode, int breaks) {
  const std::lock_guard lock(mutex_);
  mode_ = mode;
  breaks_ = breaks;
}

std::vector<events::v1::PublishStreamEntry> FakeBroker::entries() const {
  const std::lock_guard lock(mutex_);
  return entries_;
}

events::v1::PublishReceipt FakeBroker::Receive(const events::v1::PublishStreamEntry& entry) {
  events::v1::PublishReceipt receipt;
  receipt.set_correlation_id(entry.correlation_id());
  receipt.set_id(entry.event().id());
  if (entry.event().type() == "refused") {
    receipt.set_error_code(3);
    receipt.set_error_message("type: is not wanted here");
    return receipt;
  }
  const auto [stored, is_new] =
      stored_.emplace(std::pair(entry.event().source(), entry.event().id()), sequence_ + 1);
  if (is_new) ++sequence_;
  receipt.set_sequence(stored->second);
  receipt.set_status(is_new ? events::v1::PublishReceipt::ACCEPTED
                            : events::v1::PublishReceipt::DUPLICATE);
  return receipt;
}

grpc::ServerBidiReactor<events::v1::PublishStreamRequest, events::v1::PublishStreamResponse>*
FakeBroker::PublishStream(grpc::CallbackServerContext* context) {
  using Stream =
      rpc::BidiServer<events::v1::PublishStreamRequest, events::v1::PublishStreamResponse>;
  return Stream::Serve(context, [this](const std::shared_ptr<Stream>& stream) {
    calls.Add("PublishStream", stream->context());
    const auto session = std::make_shared<Session>();
    Stream::Handlers handlers;
    handlers.fill = [session](events::v1::PublishStreamResponse& message) {
      return session->Fill(message);
    };
    handlers.on_message = [this, session, stream](events::v1::PublishStreamRequest& message) {
      bool ends = false;
      {
        const std::lock_guard lock(mutex_);
        for (const auto& entry : message.entries()) {
          entries_.push_back(entry);
          if (mode_ != PublishMode::kAccept) continue;
          const std::lock_guard session_lock(session->mutex);
          session->receipts.push_back(Receive(entry));
        }
        if (mode_ == PublishMode::kBreak) {
          ends = true;
          if (--breaks_ <= 0) mode_ = PublishMode::kAccept;
        }
      }
      if (ends) return stream->Finish(absl::UnavailableError("the broker restarts"));
      stream->Notify();
    };
    return handlers;
  });
}

grpc::ServerUnaryReactor* FakeBroker::GetEvent(grpc::CallbackServerContext* context,
                                               const events::v1::GetEventRequest* request,
                                               events::v1::StoredEvent* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const events::v1::GetEventRequest& given, events::v1::StoredEvent* answer,
             rpc::CallContext& call, const rpc::ServerDone& done) {
        calls.Add("GetEvent", call);
        if (given.id() == "missing") {
          return done(WithReason(absl::NotFoundError("no such event"), "EVENT_NOT_FOUND"));
        }
        answer->set_sequence(7);
        answer->set_name(given.space() + "|" + given.id());
        done(absl::OkStatus());
      });
}

grpc::ServerWriteReactor<events::v1::StoredEvent>* FakeBroker::TailEvents(
    grpc::CallbackServerContext* context, const events::v1::TailEventsRequest* request) {
  return Tail::Serve(
      context, request, {},
      [this](const events::v1::TailEventsRequest& given, const std::shared_ptr<Tail>& stream) {
        if (given.type() == "bad") {
          return stream->Finish(FieldError("type", "has too many *"));
        }
        stream->set_on_done([this, weak = std::weak_ptr(stream)](const absl::Status&) {
          const std::lock_guard lock(mutex_);
          if (const auto ended = weak.lock()) tails_.erase(ended);
        });
        const std::lock_guard lock(mutex_);
        tails_.insert(stream);
      });
}

void FakeBroker::Append(std::int64_t sequence, std::size_t data_bytes) {
  events::v1::StoredEvent event;
  event.set_sequence(sequence);
  if (data_bytes > 0) event.mutable_event()->set_text_data(std::string(data_bytes, 'x'));
  const std::lock_guard lock(mutex_);
  for (const auto& tail : tails_) (void)tail->Write(event);
}

void FakeBroker::EndTails(const absl::Status& status) {
  std::set<std::shared_ptr<Tail>> tails;
  {
    const std::lock_guard lock(mutex_);
    tails = tails_;
  }
  for (const auto& tail : tails) tail->Finish(status);
}

std::size_t FakeBroker::tails() const {
  const std::lock_guard lock(mutex_);
  return tails_.size();
}

void FakeRoutes::Tell(internal::v1::RouteChange change) {
  change.set_revision(revision_);
  if (held_) {
    kept_back_.push_back(std::move(change));
    return;
  }
  internal::v1::WatchRoutesResponse message;
  message.set_revision(revision_);
  *message.add_changes() = std::move(change);
  for (const auto& watcher : watchers_) (void)watcher->Write(message);
}

void FakeRoutes::Set(const internal::v1::Route& route) {
  const std::lock_guard lock(mutex_);
  ++revision_;
  routes_[route.subscription()] = route;
  internal::v1::RouteChange change;
  *change.mutable_route() = route;
  Tell(std::move(change));
}

void FakeRoutes::Delete(const std::string& subscription) {
  const std::lock_guard lock(mutex_);
  ++revision_;
  routes_.erase(subscription);
  internal::v1::RouteChange change;
  change.mutable_route()->set_subscription(subscription);
  change.set_deleted(true);
  Tell(std::move(change));
}

void FakeRoutes::Hold(bool held) {
  const std::lock_guard lock(mutex_);
  held_ = held;
  if (held) return;
  for (internal::v1::RouteChange& change : std::exchange(kept_back_, {})) Tell(std::move(change));
}

std::int64_t FakeRoutes::revision() const {
  const std::lock_guard lock(mutex_);
  return revision_;
}

std::size_t FakeRoutes::watchers() const {
  const std::lock_guard lock(mutex_);
  return watchers_.size();
}

bool FakeRoutes::saw_token() const {
  const std::lock_guard lock(mutex_);
  return saw_token_;
}

grpc::ServerWriteReactor<internal::v1::WatchRoutesResponse>* FakeRoutes::WatchRoutes(
    grpc::CallbackServerContext* context, const internal::v1::WatchRoutesRequest* request) {
  return Stream::Serve(
      context, request, {},
      [this](const internal::v1::WatchRoutesRequest&, const std::shared_ptr<Stream>& stream) {
        stream->set_on_done([this, weak = std::weak_ptr(stream)](const absl::Status&) {
          const std::lock_guard lock(mutex_);
          if (const auto ended = weak.lock()) watchers_.erase(ended);
        });
        const std::lock_guard lock(mutex_);
        saw_token_ = !stream->context().Metadata(rpc::kPeerTokenKey).empty();
        internal::v1::WatchRoutesResponse snapshot;
        snapshot.set_snapshot_begin(true);
        snapshot.set_snapshot_end(true);
        snapshot.set_revision(revision_);
        for (const auto& [name, route] : routes_) *snapshot.add_changes()->mutable_route() = route;
        (void)stream->Write(std::move(snapshot));
        watchers_.insert(stream);
      });
}

grpc::ServerUnaryReactor* FakeCatalog::CreateSubscription(
    grpc::CallbackServerContext* context, const events::v1::CreateSubscriptionRequest* request,
    events::v1::Subscription* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const events::v1::CreateSubscriptionRequest& given, events::v1::Subscription* answer,
             rpc::CallContext& call, const rpc::ServerDone& done) {
        if (given.subscription().function() == "missing") {
          return done(FieldError("function", "does not exist"));
        }
        const std::string name = given.parent() + "/subscriptions/" + given.subscription_id();
        *answer = given.subscription();
        answer->set_name(name);
        answer->set_function(given.parent() + "/functions/" + given.subscription().function());
        const std::lock_guard lock(mutex_);
        if (!subscriptions_.emplace(name, *answer).second) {
          return done(absl::AlreadyExistsError("exists"));
        }
        if (answer->has_http()) {
          internal::v1::Route route;
          route.set_subscription(name);
          route.set_method(answer->http().method());
          route.set_path(answer->http().path());
          route.set_function(answer->function());
          routes_.Set(route);
        }
        call.set_revision(fmt::format("event-broker:{}", routes_.revision()));
        done(absl::OkStatus());
      });
}

grpc::ServerUnaryReactor* FakeCatalog::ListSubscriptions(
    grpc::CallbackServerContext* context, const events::v1::ListSubscriptionsRequest* request,
    events::v1::ListSubscriptionsResponse* response) {
  return rpc::ServeUnary(context, request, response,
                         [this](const events::v1::ListSubscriptionsRequest&,
                                events::v1::ListSubscriptionsResponse* answer, rpc::CallContext&,
                                const rpc::ServerDone& done) {
                           const std::lock_guard lock(mutex_);
                           for (const auto& [name, subscription] : subscriptions_) {
                             *answer->add_subscriptions() = subscription;
                           }
                           done(absl::OkStatus());
                         });
}

grpc::ServerUnaryReactor* FakeCatalog::DeleteSubscription(
    grpc::CallbackServerContext* context, const events::v1::DeleteSubscriptionRequest* request,
    google::protobuf::Empty* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const events::v1::DeleteSubscriptionRequest& given, google::protobuf::Empty*,
             rpc::CallContext& call, const rpc::ServerDone& done) {
        const std::lock_guard lock(mutex_);
        const auto found = subscriptions_.find(given.name());
        if (found == subscriptions_.end()) return done(absl::NotFoundError("no such"));
        if (found->second.has_http()) routes_.Delete(given.name());
        subscriptions_.erase(found);
        call.set_revision(fmt::format("event-broker:{}", routes_.revision()));
        done(absl::OkStatus());
      });
}

grpc::ServerUnaryReactor* FakeManager::CreateFunction(
    grpc::CallbackServerContext* context, const functions::v1::CreateFunctionRequest* request,
    functions::v1::Function* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const functions::v1::CreateFunctionRequest& given, functions::v1::Function* answer,
             rpc::CallContext& call, const rpc::ServerDone& done) {
        calls.Add("CreateFunction", call);
        *answer = given.function();
        answer->set_name(given.parent() + "/functions/" + given.function_id());
        answer->set_creator(std::string(call.principal()));
        const std::lock_guard lock(mutex_);
        if (!functions_.emplace(answer->name(), *answer).second) {
          return done(WithReason(absl::AlreadyExistsError("exists"), "FUNCTION_EXISTS"));
        }
        call.set_revision(fmt::format("function-manager:{}", ++revision_));
        done(absl::OkStatus());
      });
}

grpc::ServerUnaryReactor* FakeManager::GetFunction(grpc::CallbackServerContext* context,
                                                   const functions::v1::GetFunctionRequest* request,
                                                   functions::v1::Function* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const functions::v1::GetFunctionRequest& given, functions::v1::Function* answer,
             rpc::CallContext& call, const rpc::ServerDone& done) {
        calls.Add("GetFunction", call);
        const std::lock_guard lock(mutex_);
        const auto found = functions_.find(given.name());
        if (found == functions_.end()) {
          return done(WithReason(absl::NotFoundError("no such function"), "FUNCTION_NOT_FOUND"));
        }
        *answer = found->second;
        done(absl::OkStatus());
      });
}

grpc::ServerUnaryReactor* FakeManager::ListFunctions(
    grpc::CallbackServerContext* context, const functions::v1::ListFunctionsRequest* request,
    functions::v1::ListFunctionsResponse* response) {
  return rpc::ServeUnary(context, request, response,
                         [this](const functions::v1::ListFunctionsRequest& given,
                                functions::v1::ListFunctionsResponse* answer, rpc::CallContext&,
                                const rpc::ServerDone& done) {
                           // Pages of one, so that whoever lists has to go on.
                           const std::lock_guard lock(mutex_);
                           auto next = functions_.upper_bound(given.page_token());
                           if (next != functions_.end()) {
                             *answer->add_functions() = next->second;
                             if (std::next(next) != functions_.end())
                               answer->set_next_page_token(next->first);
                           }
                           done(absl::OkStatus());
                         });
}

grpc::ServerUnaryReactor* FakeManager::UpdateFunction(
    grpc::CallbackServerContext* context, const functions::v1::UpdateFunctionRequest* request,
    functions::v1::Function* response) {
  return rpc::ServeUnary(
      context, request, response,
      [](const functions::v1::UpdateFunctionRequest& given, functions::v1::Function* answer,
         rpc::CallContext&, const rpc::ServerDone& done) {
        answer->set_name(given.function().name());
        // What the mask says comes back for the test to see.
        for (const std::string& path : given.update_mask().paths()) {
          answer->set_description(answer->description() + path + ";");
        }
        done(absl::OkStatus());
      });
}

grpc::ServerUnaryReactor* FakeManager::DeleteFunction(
    grpc::CallbackServerContext* context, const functions::v1::DeleteFunctionRequest* request,
    google::protobuf::Empty* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const functions::v1::DeleteFunctionRequest& given, google::protobuf::Empty*,
             rpc::CallContext&, const rpc::ServerDone& done) {
        const std::lock_guard lock(mutex_);
        if (functions_.erase(given.name()) == 0) return done(absl::NotFoundError("no such"));
        done(absl::OkStatus());
      });
}

grpc::ServerReadReactor<functions::v1::UploadSourceRequest>* FakeManager::UploadSource(
    grpc::CallbackServerContext*, functions::v1::UploadSourceResponse* response) {
  class Reactor final : public grpc::ServerReadReactor<functions::v1::UploadSourceRequest> {
   public:
    explicit Reactor(functions::v1::UploadSourceResponse* response) : response_(response) {
      StartRead(&request_);
    }
    void OnReadDone(bool ok) override {
      if (ok) {
        ++count_;
        return StartRead(&request_);
      }
      response_->set_digest(std::to_string(count_));
      Finish(grpc::Status::OK);
    }
    void OnDone() override { delete this; }

   private:
    functions::v1::UploadSourceResponse* const response_;
    functions::v1::UploadSourceRequest request_;
    int count_ = 0;
  };
  return new Reactor(response);
}

void FakeExecutor::SetAnswer(Answer answer) {
  const std::lock_guard lock(mutex_);
  answer_ = std::move(answer);
}

executions::v1::InvokeRequest FakeExecutor::last() const {
  const std::lock_guard lock(mutex_);
  return requests_.empty() ? executions::v1::InvokeRequest() : requests_.back();
}

std::size_t FakeExecutor::invoked() const {
  const std::lock_guard lock(mutex_);
  return requests_.size();
}

std::size_t FakeExecutor::cancelled() const {
  const std::lock_guard lock(mutex_);
  return cancelled_;
}

void FakeExecutor::AnswerOpen() {
  std::vector<rpc::ServerDone> open;
  {
    const std::lock_guard lock(mutex_);
    open.swap(open_);
  }
  for (const rpc::ServerDone& done : open) done(absl::OkStatus());
}

grpc::ServerUnaryReactor* FakeExecutor::Invoke(grpc::CallbackServerContext* context,
                                               const executions::v1::InvokeRequest* request,
                                               executions::v1::InvokeResponse* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const executions::v1::InvokeRequest& given, executions::v1::InvokeResponse* answer,
             rpc::CallContext& call, const rpc::ServerDone& done) {
        calls.Add("Invoke", call);
        call.cancellation()->Subscribe([this] {
          const std::lock_guard lock(mutex_);
          ++cancelled_;
        });
        Answer make;
        {
          const std::lock_guard lock(mutex_);
          requests_.push_back(given);
          make = answer_;
          if (!make) open_.push_back(done);
        }
        if (!make) return;
        auto made = make(given);
        if (made.ok()) *answer = *std::move(made);
        done(made.status());
      });
}

}  // namespace penstock::gateway
