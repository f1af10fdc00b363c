#include "tests/unit/tools/penstock/fake_server.h"

#include <algorithm>

#include "libs/base/status.h"
#include "libs/rpc/status.h"

namespace penstock::cli {
namespace {

grpc::ServerUnaryReactor* Finish(grpc::CallbackServerContext* context, const absl::Status& status) {
  auto* const reactor = context->DefaultReactor();
  reactor->Finish(rpc::ToGrpcStatus(status));
  return reactor;
}

// Stores `resource` under its name; what both services do.
template <typename Resource>
absl::Status Put(std::map<std::string, Resource>& all, Resource resource, bool is_validate_only,
                 Resource* response) {
  const auto found = all.find(resource.name());
  if (!resource.etag().empty() && found != all.end() && found->second.etag() != resource.etag()) {
    return absl::AbortedError("the etag is stale");
  }
  const int etag = found == all.end() ? 0 : std::stoi(found->second.etag());
  resource.set_etag(std::to_string(etag + 1));
  if (!is_validate_only) all[resource.name()] = resource;
  *response = std::move(resource);
  return absl::OkStatus();
}

void FillDefaults(functions::v1::Function& function) {
  if (!function.has_timeout()) function.mutable_timeout()->set_seconds(30);
  function.set_state(functions::v1::Function::READY);
}

absl::Status Check(const functions::v1::Function& function) {
  if (function.timeout().seconds() > 900) {
    return FieldError("function.timeout", "must be at most 15m");
  }
  return absl::OkStatus();
}

// Sends the events in order, one write at a time, then ends.
class TailReactor final : public grpc::ServerWriteReactor<events::v1::StoredEvent> {
 public:
  explicit TailReactor(std::vector<events::v1::StoredEvent> events) : events_(std::move(events)) {
    Next();
  }
  void OnWriteDone(bool ok) override { ok ? Next() : Finish(grpc::Status::CANCELLED); }
  void OnDone() override { delete this; }

 private:
  void Next() {
    if (next_ == events_.size()) return Finish(grpc::Status::OK);
    StartWrite(&events_[next_++]);
  }

  std::vector<events::v1::StoredEvent> events_;
  std::size_t next_ = 0;
};

}  // namespace

grpc::ServerUnaryReactor* FakeFunctions::CreateFunction(
    grpc::CallbackServerContext* context, const functions::v1::CreateFunctionRequest* request,
    functions::v1::Function* response) {
  const std::lock_guard lock(mutex);
  const auto found = context->client_metadata().find("authorization");
  if (found != context->client_metadata().end()) {
    authorization.assign(found->second.data(), found->second.size());
  }
  functions::v1::Function function = request->function();
  function.set_name(request->parent() + "/functions/" + request->function_id());
  FillDefaults(function);
  if (functions.contains(function.name())) {
    return Finish(context, absl::AlreadyExistsError("Function exists already"));
  }
  if (const absl::Status checked = Check(function); !checked.ok()) return Finish(context, checked);
  ++writes;
  return Finish(context, Put(functions, function, request->validate_only(), response));
}

grpc::ServerUnaryReactor* FakeFunctions::GetFunction(
    grpc::CallbackServerContext* context, const functions::v1::GetFunctionRequest* request,
    functions::v1::Function* response) {
  const std::lock_guard lock(mutex);
  const auto found = functions.find(request->name());
  if (found == functions.end()) return Finish(context, absl::NotFoundError("there is none"));
  *response = found->second;
  return Finish(context, absl::OkStatus());
}

grpc::ServerUnaryReactor* FakeFunctions::ListFunctions(
    grpc::CallbackServerContext* context, const functions::v1::ListFunctionsRequest* request,
    functions::v1::ListFunctionsResponse* response) {
  const std::lock_guard lock(mutex);
  // Two a page, whatever was asked for, so that clients have to turn pages.
  auto at = functions.upper_bound(request->page_token());
  for (int i = 0; i < 2 && at != functions.end(); ++i, ++at) {
    *response->add_functions() = at->second;
  }
  if (at != functions.end() && response->functions_size() > 0) {
    response->set_next_page_token(response->functions().rbegin()->name());
  }
  return Finish(context, absl::OkStatus());
}

grpc::ServerUnaryReactor* FakeFunctions::UpdateFunction(
    grpc::CallbackServerContext* context, const functions::v1::UpdateFunctionRequest* request,
    functions::v1::Function* response) {
  const std::lock_guard lock(mutex);
  functions::v1::Function function = request->function();
  FillDefaults(function);
  if (const absl::Status checked = Check(function); !checked.ok()) return Finish(context, checked);
  if (!request->validate_only()) ++writes;
  return Finish(context, Put(functions, function, request->validate_only(), response));
}

grpc::ServerUnaryReactor* FakeFunctions::DeleteFunction(
    grpc::CallbackServerContext* context, const functions::v1::DeleteFunctionRequest* request,
    google::protobuf::Empty*) {
  const std::lock_guard lock(mutex);
  const bool is_gone = functions.erase(request->name()) == 1 || request->allow_missing();
  return Finish(context, is_gone ? absl::OkStatus() : absl::NotFoundError("there is none"));
}

grpc::ServerUnaryReactor* FakeCatalog::CreateSubscription(
    grpc::CallbackServerContext* context, const events::v1::CreateSubscriptionRequest* request,
    events::v1::Subscription* response) {
  const std::lock_guard lock(mutex);
  created = *request;
  events::v1::Subscription subscription = request->subscription();
  subscription.set_name(request->parent() + "/subscriptions/" + request->subscription_id());
  if (subscriptions.contains(subscription.name())) {
    return Finish(context, absl::AlreadyExistsError("Subscription exists already"));
  }
  return Finish(context, Put(subscriptions, subscription, request->validate_only(), response));
}

grpc::ServerUnaryReactor* FakeCatalog::GetSubscription(
    grpc::CallbackServerContext* context, const events::v1::GetSubscriptionRequest* request,
    events::v1::Subscription* response) {
  const std::lock_guard lock(mutex);
  const auto found = subscriptions.find(request->name());
  if (found == subscriptions.end()) return Finish(context, absl::NotFoundError("there is none"));
  *response = found->second;
  return Finish(context, absl::OkStatus());
}

grpc::ServerUnaryReactor* FakeCatalog::ListSubscriptions(
    grpc::CallbackServerContext* context, const events::v1::ListSubscriptionsRequest*,
    events::v1::ListSubscriptionsResponse* response) {
  const std::lock_guard lock(mutex);
  for (const auto& [name, subscription] : subscriptions) {
    *response->add_subscriptions() = subscription;
  }
  return Finish(context, absl::OkStatus());
}

grpc::ServerUnaryReactor* FakeCatalog::UpdateSubscription(
    grpc::CallbackServerContext* context, const events::v1::UpdateSubscriptionRequest* request,
    events::v1::Subscription* response) {
  const std::lock_guard lock(mutex);
  updated = *request;
  return Finish(context,
                Put(subscriptions, request->subscription(), request->validate_only(), response));
}

grpc::ServerUnaryReactor* FakeCatalog::ListDeadLetters(
    grpc::CallbackServerContext* context, const events::v1::ListDeadLettersRequest* request,
    events::v1::ListDeadLettersResponse* response) {
  const std::lock_guard lock(mutex);
  listed = *request;
  auto& letter = *response->add_dead_letters();
  letter.set_name("spaces/default/deadLetters/d-1");
  letter.set_subscription("spaces/default/subscriptions/s1");
  letter.set_attempts(10);
  letter.set_reason(events::v1::DeadLetter::ATTEMPTS_EXHAUSTED);
  letter.mutable_last_error()->set_type("KeyError");
  letter.mutable_last_error()->set_message("no\nname \x1b[31m");
  return Finish(context, absl::OkStatus());
}

grpc::ServerUnaryReactor* FakeCatalog::RedriveDeadLetters(
    grpc::CallbackServerContext* context, const events::v1::RedriveDeadLettersRequest* request,
    events::v1::RedriveDeadLettersResponse* response) {
  const std::lock_guard lock(mutex);
  redriven = *request;
  response->set_redriven_count(std::min(letters_left, 3));
  letters_left -= static_cast<int>(response->redriven_count());
  return Finish(context, absl::OkStatus());
}

grpc::ServerUnaryReactor* FakeBroker::Publish(grpc::CallbackServerContext* context,
                                              const events::v1::PublishRequest* request,
                                              events::v1::PublishReceipt* response) {
  const std::lock_guard lock(mutex);
  events.push_back(request->event());
  response->set_id(request->event().id());
  response->set_sequence(static_cast<std::int64_t>(events.size()));
  response->set_status(events::v1::PublishReceipt::ACCEPTED);
  return Finish(context, absl::OkStatus());
}

grpc::ServerUnaryReactor* FakeBroker::PublishBatch(grpc::CallbackServerContext* context,
                                                   const events::v1::PublishBatchRequest* request,
                                                   events::v1::PublishBatchResponse* response) {
  const std::lock_guard lock(mutex);
  ++batches;
  for (const auto& event : request->events()) {
    events.push_back(event);
    response->add_receipts()->set_status(events::v1::PublishReceipt::ACCEPTED);
  }
  return Finish(context, absl::OkStatus());
}

grpc::ServerUnaryReactor* FakeBroker::ReadEvents(grpc::CallbackServerContext* context,
                                                 const events::v1::ReadEventsRequest*,
                                                 events::v1::ReadEventsResponse* response) {
  const std::lock_guard lock(mutex);
  for (std::size_t i = 0; i < events.size(); ++i) {
    auto& stored = *response->add_events();
    stored.set_sequence(static_cast<std::int64_t>(i) + 1);
    *stored.mutable_event() = events[i];
  }
  return Finish(context, absl::OkStatus());
}

grpc::ServerWriteReactor<events::v1::StoredEvent>* FakeBroker::TailEvents(
    grpc::CallbackServerContext*, const events::v1::TailEventsRequest* request) {
  const std::lock_guard lock(mutex);
  std::vector<events::v1::StoredEvent> tail;
  const auto first = static_cast<std::size_t>(std::max<std::int64_t>(1, request->from_sequence()));
  for (std::size_t i = first; i <= events.size(); ++i) {
    tail.emplace_back().set_sequence(static_cast<std::int64_t>(i));
    *tail.back().mutable_event() = events[i - 1];
  }
  return new TailReactor(std::move(tail));
}

grpc::ServerUnaryReactor* FakeExecutor::Invoke(grpc::CallbackServerContext* context,
                                               const executions::v1::InvokeRequest* request,
                                               executions::v1::InvokeResponse* response) {
  response->set_execution("spaces/default/executions/e-1");
  response->mutable_logs()->add_stdout("it runs");
  if (request->name().ends_with("/broken")) {
    response->mutable_error()->set_category("FunctionError");
    response->mutable_error()->set_type("KeyError");
    response->mutable_error()->set_message("'name'");
    response->mutable_error()->add_stacktrace("hello.py, line 3, in handle");
  } else {
    *response->mutable_payload() = request->payload();
  }
  return Finish(context, absl::OkStatus());
}

grpc::ServerUnaryReactor* FakeExecutor::ListExecutions(
    grpc::CallbackServerContext* context, const executions::v1::ListExecutionsRequest*,
    executions::v1::ListExecutionsResponse* response) {
  for (const char* const id : {"e-2", "e-1"}) {
    auto& execution = *response->add_executions();
    execution.set_name(std::string("spaces/default/executions/") + id);
    execution.set_function("spaces/default/functions/hello");
    execution.set_state(executions::v1::Execution::SUCCEEDED);
    execution.mutable_logs()->add_stdout(std::string("line of ") + id);
  }
  return Finish(context, absl::OkStatus());
}

FakeServer::FakeServer() {
  rpc::ServerOptions options;
  options.address = "127.0.0.1:0";
  options.services = {&functions, &catalog, &broker, &executor};
  host = *rpc::ServerHost::Start(std::move(options));
  host->SetServing(true);
}

}  // namespace penstock::cli
