#include <gmock/gmock.h>
#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <chrono>
#include <string>

#include "libs/base/status.h"
#include "libs/rpc/status.h"
#include "penstock/internal/v1/routes_service.grpc.pb.h"
#include "tests/contract/gateway/fixture.h"

namespace penstock::gateway {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// The calls block: they are a test's, not a reaction's.
class GrpcProxyTest : public GatewayTest, public testing::WithParamInterface<Transport> {
 protected:
  GrpcProxyTest() : GatewayTest(GetParam()) {}

  void Connect() {
    StartGateway();
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetMaxReceiveMessageSize(8 << 20);
    channel_ = grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(app->grpc_port()),
                                         grpc::InsecureChannelCredentials(), arguments);
    functions_ = functions::v1::FunctionManagerService::NewStub(channel_);
    broker_ = events::v1::EventBrokerService::NewStub(channel_);
    executor_ = executions::v1::FunctionExecutorService::NewStub(channel_);
  }

  static std::unique_ptr<grpc::ClientContext> NewContext() {
    auto context = std::make_unique<grpc::ClientContext>();
    context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
    return context;
  }

  grpc::Status GetFunction(const std::string& id, grpc::ClientContext& context) {
    functions::v1::GetFunctionRequest request;
    request.set_name("spaces/default/functions/" + id);
    functions::v1::Function response;
    return functions_->GetFunction(&context, request, &response);
  }

  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<functions::v1::FunctionManagerService::Stub> functions_;
  std::unique_ptr<events::v1::EventBrokerService::Stub> broker_;
  std::unique_ptr<executions::v1::FunctionExecutorService::Stub> executor_;
};

INSTANTIATE_TEST_SUITE_P(Transports, GrpcProxyTest,
                         testing::Values(Transport::kTcp, Transport::kInProcess));

TEST_P(GrpcProxyTest, PassesUnaryCallsOn) {
  Connect();
  functions::v1::CreateFunctionRequest request;
  request.set_parent("spaces/default");
  request.set_function_id("f");
  request.mutable_function()->mutable_http()->set_url("http://x/");
  functions::v1::Function response;
  auto context = NewContext();
  const grpc::Status status = functions_->CreateFunction(context.get(), request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.name(), "spaces/default/functions/f");
  const auto& trailers = context->GetServerTrailingMetadata();
  const auto revision = trailers.find("penstock-revision");
  ASSERT_NE(revision, trailers.end());
  EXPECT_EQ(std::string(revision->second.data(), revision->second.size()), "function-manager:1");
}

TEST_P(GrpcProxyTest, PassesErrorsOnWithTheirDetails) {
  Connect();
  const auto context = NewContext();
  const grpc::Status status = GetFunction("none", *context);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(ReasonOf(rpc::FromGrpcStatus(status)), "FUNCTION_NOT_FOUND");
}

TEST_P(GrpcProxyTest, PassesMetadataOnButNotWhatOnlyServicesMaySay) {
  Connect();
  const auto context = NewContext();
  context->AddMetadata("x-mine", "1");
  context->AddMetadata("x-bytes-bin", std::string("\0\xFF", 2));
  context->AddMetadata("penstock-min-revision", "function-manager:1");
  context->AddMetadata("penstock-principal", "root");
  context->AddMetadata("penstock-peer-token", "guess");
  GetFunction("none", *context);
  const SeenCall seen = manager.calls.last();
  EXPECT_THAT(seen.Metadata("x-mine"), ElementsAre("1"));
  EXPECT_THAT(seen.Metadata("x-bytes-bin"), ElementsAre(std::string("\0\xFF", 2)));
  EXPECT_THAT(seen.Metadata("penstock-min-revision"), ElementsAre("function-manager:1"));
  EXPECT_THAT(seen.Metadata("penstock-principal"), IsEmpty());
  EXPECT_THAT(seen.Metadata("penstock-peer-token"), IsEmpty());
}

TEST_P(GrpcProxyTest, PassesServerStreamsOn) {
  Connect();
  const auto context = NewContext();
  events::v1::TailEventsRequest request;
  const auto reader = broker_->TailEvents(context.get(), request);
  ASSERT_TRUE(Eventually([this] { return broker.tails() == 1; }));
  for (int i = 1; i <= 100; ++i) broker.Append(i);
  events::v1::StoredEvent event;
  for (int i = 1; i <= 100; ++i) {
    ASSERT_TRUE(reader->Read(&event));
    EXPECT_EQ(event.sequence(), i);
  }
  broker.EndTails(absl::OkStatus());
  EXPECT_FALSE(reader->Read(&event));
  EXPECT_TRUE(reader->Finish().ok());
}

TEST_P(GrpcProxyTest, PassesClientStreamsOn) {
  Connect();
  const auto context = NewContext();
  functions::v1::UploadSourceResponse response;
  const auto writer = functions_->UploadSource(context.get(), &response);
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(writer->Write({}));
  writer->WritesDone();
  EXPECT_TRUE(writer->Finish().ok());
  EXPECT_EQ(response.digest(), "20");
}

TEST_P(GrpcProxyTest, PassesBidirectionalStreamsOn) {
  Connect();
  const auto context = NewContext();
  const auto stream = broker_->PublishStream(context.get());
  events::v1::PublishStreamResponse response;
  for (int i = 1; i <= 20; ++i) {
    events::v1::PublishStreamRequest request;
    auto* entry = request.add_entries();
    entry->set_correlation_id(i);
    entry->mutable_event()->set_id(std::to_string(i));
    ASSERT_TRUE(stream->Write(request));
    ASSERT_TRUE(stream->Read(&response));
    EXPECT_EQ(response.receipts(0).correlation_id(), i);
  }
  stream->WritesDone();
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_P(GrpcProxyTest, PassesLargeMessagesOn) {
  Connect();
  const auto context = NewContext();
  executions::v1::InvokeRequest request;
  request.set_name("spaces/default/functions/f");
  request.mutable_payload()->set_data(std::string(6 << 20, 'x'));
  executions::v1::InvokeResponse response;
  const grpc::Status status = executor_->Invoke(context.get(), request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.payload().data().size(), 6u << 20);
}

TEST_P(GrpcProxyTest, PassesTheDeadlineOn) {
  executor.SetAnswer(nullptr);
  Connect();
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(150));
  executions::v1::InvokeRequest request;
  executions::v1::InvokeResponse response;
  EXPECT_EQ(executor_->Invoke(&context, request, &response).error_code(),
            grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_TRUE(Eventually([this] { return executor.cancelled() == 1; }));
}

TEST_P(GrpcProxyTest, PassesCancellationOn) {
  Connect();
  const auto context = NewContext();
  const auto reader = broker_->TailEvents(context.get(), {});
  ASSERT_TRUE(Eventually([this] { return broker.tails() == 1; }));
  context->TryCancel();
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(Eventually([this] { return broker.tails() == 0; }));
}

TEST_P(GrpcProxyTest, ReachesNothingInternalOrUnknown) {
  Connect();
  const auto context = NewContext();
  const auto internal = internal::v1::RouteService::NewStub(channel_);
  const std::size_t watchers = routes.watchers();
  const auto reader = internal->WatchRoutes(context.get(), {});
  internal::v1::WatchRoutesResponse response;
  EXPECT_FALSE(reader->Read(&response));
  const grpc::Status status = reader->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_EQ(status.error_message(), "Unknown method");
  EXPECT_LE(routes.watchers(), watchers + 1);
}

TEST_P(GrpcProxyTest, NamesTheServiceThatIsLost) {
  StopManager();
  Connect();
  const auto context = NewContext();
  const grpc::Status status = GetFunction("f", *context);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(status.error_message(), HasSubstr("function-manager"));
}

TEST_P(GrpcProxyTest, EndsCallsWhenAServiceDies) {
  Connect();
  const auto context = NewContext();
  const auto reader = broker_->TailEvents(context.get(), {});
  ASSERT_TRUE(Eventually([this] { return broker.tails() == 1; }));
  StopBroker();
  events::v1::StoredEvent event;
  EXPECT_FALSE(reader->Read(&event));
  EXPECT_FALSE(reader->Finish().ok());
}

}  // namespace
}  // namespace penstock::gateway
