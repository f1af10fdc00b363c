// Calls that nobody waits for, with a broker that the test plays.
#include <penstock/internal/v1/async_invocation_service.grpc.pb.h>

#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "libs/base/status.h"
#include "libs/cloudevents/event.h"
#include "libs/rpc/metadata.h"
#include "libs/rpc/server_unary.h"
#include "libs/rpc/status.h"
#include "tests/contract/function-executor/fixture.h"

namespace penstock::executor {
namespace {

constexpr char kDelivery[] = "u1-17";
constexpr char kExecution[] = "spaces/default/executions/async-u1-17";

// Keeps what it is asked for, and answers as the test says. Thread-safe.
class FakeBroker final : public ipb::AsyncInvocationService::CallbackService {
 public:
  FakeBroker(const std::string& name, std::shared_ptr<const rpc::PeerAuth> peer_auth)
      : peer_auth_(std::move(peer_auth)) {
    rpc::ServerOptions options;
    options.name = name;
    options.address = "127.0.0.1:0";
    options.services = {this};
    host_ = *rpc::ServerHost::Start(std::move(options));
  }
  ~FakeBroker() override { host_->Stop(std::chrono::seconds(2)); }
  int port() const { return host_->port(); }

  grpc::ServerUnaryReactor* EnqueueInvocation(grpc::CallbackServerContext* context,
                                              const ipb::EnqueueInvocationRequest* request,
                                              ipb::EnqueueInvocationResponse* response) override {
    return Serve(context, request, response, [this](const auto& given, auto* answer) {
      requests_.push_back(given);
      answer->set_delivery_id(kDelivery);
      answer->set_sequence(17);
      answer->set_duplicate(duplicates_);
      return absl::OkStatus();
    });
  }
  grpc::ServerUnaryReactor* FindInvocation(grpc::CallbackServerContext* context,
                                           const ipb::FindInvocationRequest* request,
                                           ipb::FindInvocationResponse* response) override {
    return Serve(context, request, response, [this](const auto& given, auto* answer) {
      if (given.delivery_id() != kDelivery) return absl::NotFoundError("no such invocation");
      *answer = where_;
      answer->set_function("spaces/default/functions/f");
      return absl::OkStatus();
    });
  }
  grpc::ServerUnaryReactor* CancelInvocation(grpc::CallbackServerContext* context,
                                             const ipb::CancelInvocationRequest* request,
                                             ipb::CancelInvocationResponse* response) override {
    return Serve(context, request, response, [this](const auto& given, auto* answer) {
      if (given.delivery_id() != kDelivery) return absl::NotFoundError("no such invocation");
      if (where_.place() != ipb::FindInvocationResponse::WAITING) {
        return absl::FailedPreconditionError("the execution has ended");
      }
      where_.set_place(ipb::FindInvocationResponse::DONE);
      answer->set_function("spaces/default/functions/f");
      return absl::OkStatus();
    });
  }

  void set_place(ipb::FindInvocationResponse::Place place) {
    const std::lock_guard lock(mutex_);
    where_.set_place(place);
  }
  void set_duplicates(bool duplicates) {
    const std::lock_guard lock(mutex_);
    duplicates_ = duplicates;
  }
  std::vector<ipb::EnqueueInvocationRequest> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  template <typename Request, typename Response, typename Answer>
  grpc::ServerUnaryReactor* Serve(grpc::CallbackServerContext* context, const Request* request,
                                  Response* response, Answer answer) {
    return rpc::ServeUnary(context, request, response,
                           [this, answer](const Request& given, Response* out,
                                          rpc::CallContext& call, const rpc::ServerDone& done) {
                             if (const auto peer = peer_auth_->Check(call); !peer.ok()) {
                               return done(peer);
                             }
                             absl::Status status;
                             {
                               const std::lock_guard lock(mutex_);
                               status = answer(given, out);
                             }
                             done(status);
                           });
  }

  const std::shared_ptr<const rpc::PeerAuth> peer_auth_;
  mutable std::mutex mutex_;
  std::vector<ipb::EnqueueInvocationRequest> requests_;
  ipb::FindInvocationResponse where_;
  bool duplicates_ = false;
  std::unique_ptr<rpc::ServerHost> host_;
};

class AsyncCallsTest : public ExecutorTest {
 protected:
  void Start() {
    Config config = MakeConfig("executor-of-async-test");
    config.event_broker_address =
        GetParam() ? "inproc:broker-of-async-test" : "127.0.0.1:" + std::to_string(broker_.port());
    node_ = std::make_unique<Node>(config);
    WaitUntilReady(*node_);
  }
  std::unique_ptr<pb::FunctionExecutorService::Stub> Stub() const {
    return pb::FunctionExecutorService::NewStub(ChannelTo(*node_));
  }
  absl::StatusOr<pb::InvokeAsyncResponse> InvokeAsync(const pb::InvokeAsyncRequest& request,
                                                      const std::string& principal = "") {
    grpc::ClientContext context;
    if (!principal.empty()) {
      context.AddMetadata(rpc::kPeerTokenKey, peer_auth_->token());
      context.AddMetadata(rpc::kPrincipalKey, principal);
    }
    pb::InvokeAsyncResponse response;
    const absl::Status status =
        rpc::FromGrpcStatus(Stub()->InvokeAsync(&context, request, &response));
    if (!status.ok()) return status;
    return response;
  }
  absl::StatusOr<pb::Execution> Get(const std::string& name) {
    grpc::ClientContext context;
    pb::GetExecutionRequest request;
    request.set_name(name);
    pb::Execution response;
    const absl::Status status =
        rpc::FromGrpcStatus(Stub()->GetExecution(&context, request, &response));
    if (!status.ok()) return status;
    return response;
  }
  absl::StatusOr<pb::Execution> Cancel(const std::string& name) {
    grpc::ClientContext context;
    pb::CancelExecutionRequest request;
    request.set_name(name);
    pb::Execution response;
    const absl::Status status =
        rpc::FromGrpcStatus(Stub()->CancelExecution(&context, request, &response));
    if (!status.ok()) return status;
    return response;
  }
  static pb::InvokeAsyncRequest Request(const std::string& function) {
    pb::InvokeAsyncRequest request;
    request.set_name("spaces/default/functions/" + function);
    return request;
  }
  static std::string FieldOf(const absl::Status& status) {
    const auto violations = FieldViolationsOf(status);
    return violations.empty() ? "" : violations.front().field;
  }
  // What the broker delivers for the invocation that the executor handed to it last.
  ipb::Invocation Delivered(int attempt) const {
    ipb::Invocation invocation;
    invocation.set_delivery_id(kDelivery);
    invocation.set_attempt(attempt);
    invocation.set_epoch(1);
    invocation.set_function("spaces/default/functions/f");
    invocation.set_subscription("spaces/default/subscriptions/penstock.async.f");
    invocation.set_event(broker_.requests().back().event());
    invocation.set_purpose(ipb::Invocation::CALL);
    return invocation;
  }
  pb::InvokeAsyncRequest WithCallback(const std::string& function) const {
    pb::InvokeAsyncRequest request = Request(function);
    request.set_callback_url(Url("/told"));
    return request;
  }
  // The callback of that invocation.
  ipb::Invocation DeliveredCallback() const {
    ipb::Invocation invocation = Delivered(1);
    invocation.set_purpose(ipb::Invocation::CALLBACK);
    invocation.set_subscription("spaces/default/subscriptions/penstock.callback.f");
    return invocation;
  }

  FakeBroker broker_{"broker-of-async-test", peer_auth_};
};

INSTANTIATE_TEST_SUITE_P(Transports, AsyncCallsTest, ::testing::Bool(), TransportName);

TEST_P(AsyncCallsTest, HandsTheCallToTheBroker) {
  functions::v1::Function function = Noop();
  function.mutable_async()->set_max_attempts(3);
  function.mutable_async()->mutable_on_failure()->set_event_type("f.failed");
  manager_->Put("f", std::move(function));
  manager_->Put("next", Noop());
  Start();
  pb::InvokeAsyncRequest request = Request("f");
  request.mutable_payload()->set_data("{\"n\":1}");
  request.mutable_payload()->set_content_type("application/json");
  request.mutable_on_success()->set_function("next");
  request.set_callback_url("http://127.0.0.1/done");
  const auto response = InvokeAsync(request);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->execution(), kExecution);
  EXPECT_EQ(response->delivery_id(), kDelivery);

  ASSERT_EQ(broker_.requests().size(), 1U);
  const ipb::EnqueueInvocationRequest sent = broker_.requests()[0];
  EXPECT_EQ(sent.space(), "default");
  EXPECT_TRUE(sent.callback());
  ASSERT_EQ(sent.lanes_size(), 2);
  EXPECT_EQ(sent.lanes(0).function(), "f");
  EXPECT_EQ(sent.lanes(0).max_attempts(), 3);
  EXPECT_EQ(sent.lanes(1).function(), "next");
  cloudevents::CloudEvent event;
  ASSERT_TRUE(event.ParseFromString(sent.event()));
  EXPECT_EQ(event.id(), response->event_id());
  EXPECT_EQ(event.type(), "penstock.invocation.requested");
  EXPECT_EQ(event.binary_data(), "{\"n\":1}");
  EXPECT_EQ(cloudevents::AttributeText(event, "subject"), "f");
  EXPECT_EQ(cloudevents::AttributeText(event, "penstockonsuccess"), "function:next");
  EXPECT_EQ(cloudevents::AttributeText(event, "penstockonfailure"), "type:f.failed")
      << "the function's, as the call says nothing";
  EXPECT_EQ(cloudevents::AttributeText(event, "penstockcallback"), "http://127.0.0.1/done");
}

TEST_P(AsyncCallsTest, OneKeyOfOneCallerIsOneEvent) {
  manager_->Put("f", Noop());
  Start();
  const auto event_id = [this](const std::string& key, const std::string& principal = "") {
    pb::InvokeAsyncRequest request = Request("f");
    request.set_idempotency_key(key);
    const auto response = InvokeAsync(request, principal);
    EXPECT_TRUE(response.ok()) << response.status();
    return response->event_id();
  };
  EXPECT_EQ(event_id("order-7"), event_id("order-7"));
  EXPECT_EQ(event_id("order-7"), event_id("\"order-7\""));
  EXPECT_EQ(event_id("order-7", "ann"), event_id("order-7", "ann"));
  const std::set<std::string> ids = {
      event_id("order-7"),        event_id("order-8"), event_id("order-7", "ann"),
      event_id("order-7", "bob"), event_id(""),        event_id("")};
  EXPECT_EQ(ids.size(), 6U);
}

TEST_P(AsyncCallsTest, SaysThatAnInvocationWasThereAlready) {
  manager_->Put("f", Noop());
  broker_.set_duplicates(true);
  Start();
  const auto response = InvokeAsync(Request("f"));
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_TRUE(response->duplicate());
  EXPECT_EQ(response->execution(), kExecution);
}

TEST_P(AsyncCallsTest, RefusesWhatCannotWork) {
  manager_->Put("f", Noop());
  Start();
  EXPECT_TRUE(absl::IsNotFound(InvokeAsync(Request("missing")).status()));
  EXPECT_TRUE(absl::IsNotFound(InvokeAsync(Request("f@7")).status()));
  pb::InvokeAsyncRequest request = Request("f");
  request.set_callback_url("ftp://somewhere");
  EXPECT_EQ(FieldOf(InvokeAsync(request).status()), "callback_url");
  request = Request("f");
  request.set_idempotency_key(std::string(256, 'k'));
  EXPECT_EQ(FieldOf(InvokeAsync(request).status()), "idempotency_key");
  request = Request("f");
  request.mutable_on_success()->set_function("missing");
  EXPECT_EQ(FieldOf(InvokeAsync(request).status()), "on_success.function");
  request.mutable_on_success()->set_event_type("a.b");
  EXPECT_EQ(FieldOf(InvokeAsync(request).status()), "on_success");
  request = Request("f");
  request.mutable_on_failure()->set_event_type("penstock.invocation.requested");
  EXPECT_EQ(FieldOf(InvokeAsync(request).status()), "on_failure.event_type");
  EXPECT_TRUE(broker_.requests().empty());
}

TEST_P(AsyncCallsTest, IsQueuedUntilAnAttemptBeganAndThenTheNewestAttempt) {
  manager_->Put("f", HttpTo(Url("/fail")));
  Start();
  ASSERT_TRUE(InvokeAsync(Request("f")).ok());
  broker_.set_place(ipb::FindInvocationResponse::WAITING);
  auto found = Get(kExecution);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->state(), pb::Execution::QUEUED);
  EXPECT_EQ(found->function(), "spaces/default/functions/f");

  const auto stream = OpenStream();
  stream->Send({Delivered(1)});
  const ipb::InvocationResult failed = stream->WaitForResults(1).at(0);
  EXPECT_EQ(failed.outcome(), ipb::InvocationResult::RETRYABLE);
  EXPECT_EQ(failed.execution(), std::string(kExecution) + ".1");
  EXPECT_EQ(Get(kExecution)->state(), pb::Execution::QUEUED) << "it is tried again";

  manager_->Put("f", HttpTo(Url("/json?{}")));
  EXPECT_TRUE(Eventually([&] { return Invoke("f").payload().data() == "{}"; }));
  stream->Send({Delivered(2)});
  EXPECT_EQ(stream->WaitForResults(2).at(1).outcome(), ipb::InvocationResult::SUCCEEDED);
  found = Get(kExecution);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->state(), pb::Execution::SUCCEEDED);
  EXPECT_EQ(found->name(), kExecution);
  EXPECT_EQ(found->attempt(), 2);
  EXPECT_EQ(found->trigger(), pb::Execution::CALL);
  EXPECT_EQ(found->trace_id().size(), 32U);
  EXPECT_EQ(Get(std::string(kExecution) + ".1")->state(), pb::Execution::FAILED);
  EXPECT_TRUE(absl::IsNotFound(Get("spaces/default/executions/async-u1-18").status()));
}

TEST_P(AsyncCallsTest, TheResultNamesWhereItGoes) {
  manager_->Put("f", HttpTo(Url("/json?{\"a\":1}")));
  Start();
  pb::InvokeAsyncRequest request = Request("f");
  request.mutable_on_success()->set_event_type("f.done");
  ASSERT_TRUE(InvokeAsync(request).ok());
  const auto stream = OpenStream();
  stream->Send({Delivered(1)});
  const ipb::InvocationResult result = stream->WaitForResults(1).at(0);
  cloudevents::CloudEvent event;
  ASSERT_TRUE(event.ParseFromString(result.reply()));
  EXPECT_EQ(event.binary_data(), "{\"a\":1}");
  EXPECT_EQ(cloudevents::AttributeText(event, "penstockonsuccess"), "type:f.done");
  EXPECT_EQ(cloudevents::AttributeText(event, "penstockexecution"), kExecution);
  EXPECT_EQ(cloudevents::AttributeText(event, "penstockstate"), "SUCCEEDED");
}

TEST_P(AsyncCallsTest, ACallbackIsARequestToItsUrl) {
  manager_->Put("f", Noop());
  Start();
  ASSERT_TRUE(InvokeAsync(WithCallback("f")).ok());
  const auto stream = OpenStream();
  stream->Send({DeliveredCallback()});
  const ipb::InvocationResult result = stream->WaitForResults(1).at(0);
  EXPECT_EQ(result.outcome(), ipb::InvocationResult::SUCCEEDED) << result.error().message();
  EXPECT_EQ(result.reply(), "") << "nobody asked for what the URL says";
  const auto seen = requests();
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_EQ(seen[0].path(), "/told");
  EXPECT_EQ(seen[0].headers.Get("ce-type"), "penstock.invocation.requested");
  EXPECT_FALSE(seen[0].headers.Has("ce-penstockcallback")) << "the URL may hold a secret";
}

TEST_P(AsyncCallsTest, ACallbackIsSignedOrNotSent) {
  functions::v1::Function function = Noop();
  function.mutable_async()->set_callback_signing_secret("hooks");
  ipb::ResolvedSecret secret;
  secret.set_id("hooks");
  (*secret.mutable_values())["key"] = "the key";
  manager_->SetSecret("f", secret);
  manager_->Put("f", std::move(function));
  Start();
  const pb::InvokeAsyncRequest request = WithCallback("f");
  ASSERT_TRUE(InvokeAsync(request).ok());
  ipb::Invocation invocation = DeliveredCallback();
  const auto stream = OpenStream();
  stream->Send({invocation});
  const ipb::InvocationResult result = stream->WaitForResults(1).at(0);
  EXPECT_EQ(result.outcome(), ipb::InvocationResult::SUCCEEDED) << result.error().message();
  const auto seen = requests();
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_EQ(seen[0].headers.Get("webhook-id"), invocation.delivery_id());
  EXPECT_TRUE(seen[0].headers.Has("webhook-signature"));
  EXPECT_FALSE(seen[0].headers.Has("ce-penstockcallbackkey"));

  manager_->Delete("f");
  const auto is_gone = [&] { return absl::IsNotFound(InvokeAsync(request).status()); };
  EXPECT_TRUE(Eventually(is_gone));
  invocation.set_attempt(2);
  stream->Send({invocation});
  const ipb::InvocationResult unsigned_one = stream->WaitForResults(2).at(1);
  EXPECT_EQ(unsigned_one.outcome(), ipb::InvocationResult::RETRYABLE);
  EXPECT_EQ(requests().size(), 1U);
}

TEST_P(AsyncCallsTest, WhatIsCancelledWhileItWaitsHasARecordThatSaysSo) {
  manager_->Put("f", Noop());
  Start();
  ASSERT_TRUE(InvokeAsync(Request("f")).ok());
  broker_.set_place(ipb::FindInvocationResponse::WAITING);
  const auto cancelled = Cancel(kExecution);
  ASSERT_TRUE(cancelled.ok()) << cancelled.status();
  EXPECT_EQ(cancelled->state(), pb::Execution::FAILED);
  EXPECT_EQ(cancelled->error().type(), "Cancelled");
  EXPECT_EQ(Get(kExecution)->error().type(), "Cancelled");
  EXPECT_TRUE(absl::IsFailedPrecondition(Cancel(kExecution).status())) << "it is over";
}

}  // namespace
}  // namespace penstock::executor
