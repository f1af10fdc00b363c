// Several events in one call, and what else a delivery says to functions and a result to brokers.
#include <algorithm>
#include <string>
#include <vector>

#include "libs/http/url.h"
#include "libs/protojson/json_tree.h"
#include "tests/contract/function-executor/fixture.h"

namespace penstock::executor {
namespace {

using Result = ipb::InvocationResult;

class BatchesTest : public ExecutorTest {
 protected:
  // Deliveries b1 … b<size> in one call.
  static ipb::Invocation Batch(const std::string& function, int size,
                               const std::string& data = "{\"n\": 1}") {
    ipb::Invocation batch = Delivery("b1", function, data);
    for (int i = 2; i <= size; ++i) {
      const std::string id = "b" + std::to_string(i);
      ipb::BatchedEvent* further = batch.add_batch();
      further->set_delivery_id(id);
      further->set_event(Delivery(id, function, "{\"n\": " + std::to_string(i) + "}").event());
      further->set_sequence(i);
    }
    return batch;
  }
  static functions::v1::Function HttpIn(const std::string& url,
                                        functions::v1::HttpDriver::Format format) {
    functions::v1::Function function = HttpTo(url);
    function.mutable_http()->set_format(format);
    return function;
  }
  std::string Answering(const std::string& json) const {
    return Url("/json?" + http::PercentEncode(json));
  }
  Result ResultOf(ipb::Invocation invocation) {
    const auto stream = OpenStream();
    const std::string id = invocation.delivery_id();
    stream->Send({std::move(invocation)});
    return stream->WaitForResult(id);
  }
  static std::vector<std::string> Failed(const Result& result) {
    return {result.failed_delivery_ids().begin(), result.failed_delivery_ids().end()};
  }
  http::Request LastRequest() const {
    const auto all = requests();
    EXPECT_FALSE(all.empty());
    return all.empty() ? http::Request() : all.back();
  }
};

INSTANTIATE_TEST_SUITE_P(Transports, BatchesTest, ::testing::Bool(), TransportName);

TEST_P(BatchesTest, OneCallAndOneRecordThatEachDeliveryLeadsTo) {
  manager_->Put("echo", Noop());
  StartNode();
  const Result result = ResultOf(Batch("echo", 3));
  EXPECT_EQ(result.outcome(), Result::SUCCEEDED);
  EXPECT_TRUE(Failed(result).empty());
  EXPECT_TRUE(result.reply().empty());
  for (const char* id : {"b1", "b2", "b3"}) {
    const auto records = List([&](auto& request) { request.set_delivery_id(id); });
    ASSERT_EQ(records.executions_size(), 1) << id;
    const pb::Execution& record = records.executions(0);
    EXPECT_EQ(record.name(), result.execution());
    EXPECT_EQ(record.delivery_id(), "b1");
    EXPECT_EQ(record.event_id(), "event-b1");
    EXPECT_EQ(std::vector<std::string>(record.delivery_ids().begin(), record.delivery_ids().end()),
              (std::vector<std::string>{"b1", "b2", "b3"}));
  }
  EXPECT_EQ(List([](auto& request) { request.set_delivery_id("b4"); }).executions_size(), 0);
}

TEST_P(BatchesTest, AProcessGetsAListAndNamesWhatFailed) {
  manager_->Put("py", Python("def handle(ctx, payload):\n"
                             "    assert 'event' not in ctx and 'deliveryId' not in ctx, ctx\n"
                             "    assert ctx['batchSize'] == len(payload) == 3, ctx\n"
                             "    assert ctx['replay'] is True and ctx['attempt'] == 2, ctx\n"
                             "    failed = ['b9']\n"
                             "    for item in payload:\n"
                             "        context = item['context']\n"
                             "        assert context['attempt'] == 2, context\n"
                             "        id = context['deliveryId']\n"
                             "        assert context['event']['id'] == 'event-' + id, context\n"
                             "        if item['payload']['n'] != 2: failed.append(id)\n"
                             "    return {'failedDeliveryIds': failed}\n"));
  StartNode();
  ipb::Invocation batch = Batch("py", 3);
  batch.set_replay(true);
  batch.set_attempt(2);
  const Result result = ResultOf(batch);
  EXPECT_EQ(result.outcome(), Result::SUCCEEDED) << result.error().message();
  EXPECT_EQ(Failed(result), (std::vector<std::string>{"b1", "b3"})) << "b9 is not of this batch";
}

TEST_P(BatchesTest, AnHttpFunctionGetsACloudEventsBatch) {
  using Format = functions::v1::HttpDriver;
  manager_->Put("binary", HttpIn(Answering(R"({"failedDeliveryIds":["b2"]})"), Format::BINARY));
  manager_->Put("structured", HttpIn(Url("/any"), Format::STRUCTURED));
  StartNode();
  EXPECT_EQ(Failed(ResultOf(Batch("binary", 2))), std::vector<std::string>{"b2"});
  EXPECT_EQ(ResultOf(Batch("structured", 2)).outcome(), Result::SUCCEEDED);
  ASSERT_EQ(requests().size(), 2U);
  for (const http::Request& request : requests()) {
    EXPECT_EQ(request.headers.Get("content-type"), "application/cloudevents-batch+json");
    EXPECT_EQ(request.headers.Get("penstock-delivery-id"), "b1");
    EXPECT_EQ(request.headers.Get("penstock-attempt"), "1");
    EXPECT_EQ(request.headers.Get("penstock-batch-size"), "2");
    EXPECT_FALSE(request.headers.Has("ce-id"));
    EXPECT_FALSE(request.headers.Get("traceparent").empty());
    protojson::JsonDocument body;
    ASSERT_TRUE(body.Parse(request.body).ok()) << request.body;
    ASSERT_EQ(body.root().size(), 2U) << request.body;
    int n = 0;
    for (const protojson::JsonValue event : body.root().elements()) {
      const std::string number = std::to_string(++n);
      for (const protojson::JsonMember member : event.members()) {
        if (member.key == "id") {
          EXPECT_EQ(member.value.text(), "event-b" + number);
        }
        if (member.key == "penstockdelivery") {
          EXPECT_EQ(member.value.text(), "b" + number);
        }
        if (member.key == "data") {
          EXPECT_EQ(member.value.raw(), "{\"n\": " + number + "}");
        }
      }
      EXPECT_NE(event.raw().find("\"penstockdelivery\""), std::string_view::npos);
    }
  }
}

TEST_P(BatchesTest, RawIsAListOfDataAndContextTheLineOfAProcess) {
  using Format = functions::v1::HttpDriver;
  manager_->Put("raw", HttpIn(Url("/raw"), Format::RAW));
  manager_->Put("context", HttpIn(Url("/context"), Format::CONTEXT));
  StartNode();
  EXPECT_EQ(ResultOf(Batch("raw", 2)).outcome(), Result::SUCCEEDED);
  EXPECT_EQ(LastRequest().headers.Get("content-type"), "application/json");
  EXPECT_EQ(LastRequest().body, R"([{"n": 1},{"n": 2}])");
  // What is no JSON although it should be fails no other event.
  EXPECT_EQ(ResultOf(Batch("raw", 2, "{no")).outcome(), Result::SUCCEEDED);
  EXPECT_EQ(LastRequest().body, R"([{"base64":"e25v","contentType":"application/json"},{"n": 2}])");
  EXPECT_EQ(ResultOf(Batch("context", 2)).outcome(), Result::SUCCEEDED);
  EXPECT_EQ(LastRequest().headers.Get("content-type"), "application/json");
  const std::string body = LastRequest().body;
  EXPECT_TRUE(body.starts_with("{\"context\":{")) << body;
  EXPECT_NE(body.find(R"("batchSize":2)"), std::string::npos) << body;
  EXPECT_NE(body.find(R"("payload":[{"context":{"deliveryId":"b1","attempt":1,"event":{)"),
            std::string::npos)
      << body;
}

TEST_P(BatchesTest, OneEventAloneIsAListWhereBatchesAreWanted) {
  manager_->Put("py", Python("def handle(ctx, payload):\n"
                             "    return {'failedDeliveryIds':\n"
                             "            [item['context']['deliveryId'] for item in payload]}\n"));
  StartNode();
  ipb::Invocation alone = Batch("py", 1);
  alone.set_batched(true);
  const Result result = ResultOf(alone);
  EXPECT_EQ(result.outcome(), Result::SUCCEEDED) << result.error().message();
  EXPECT_EQ(Failed(result), std::vector<std::string>{"b1"});
}

TEST_P(BatchesTest, OneAnswerIsForAll) {
  manager_->Put("fail", HttpTo(Url("/fail")));
  manager_->Put("none", HttpTo(Answering(R"({"failedDeliveryIds":[]})")));
  manager_->Put("other", HttpTo(Answering(R"({"failed":["b1"]})")));
  manager_->Put("malformed", HttpTo(Answering(R"({"failedDeliveryIds":"b1"})")));
  manager_->Put("numbers", HttpTo(Answering(R"({"failedDeliveryIds":[1]})")));
  StartNode();
  const Result fail = ResultOf(Batch("fail", 2));
  EXPECT_EQ(fail.outcome(), Result::RETRYABLE);
  EXPECT_TRUE(Failed(fail).empty());
  for (const char* function : {"none", "other"}) {
    const Result success = ResultOf(Batch(function, 2));
    EXPECT_EQ(success.outcome(), Result::SUCCEEDED);
    EXPECT_TRUE(Failed(success).empty());
  }
  for (const char* function : {"malformed", "numbers"}) {
    const Result unclear = ResultOf(Batch(function, 2));
    EXPECT_EQ(unclear.outcome(), Result::RETRYABLE);
    EXPECT_EQ(unclear.error().type(), "InvalidAnswer");
    EXPECT_EQ(unclear.error().category(), "FunctionError");
  }
}

TEST_P(BatchesTest, AMalformedBatchIsRefusedWithItsPlaceNamed) {
  manager_->Put("echo", Noop());
  StartNode();
  ipb::Invocation malformed = Batch("echo", 3);
  malformed.mutable_batch(1)->set_event("\xff\xff\xff");
  const Result result = ResultOf(malformed);
  EXPECT_EQ(result.outcome(), Result::PERMANENT);
  EXPECT_NE(result.error().message().find("batch[1].event"), std::string::npos)
      << result.error().message();
  ipb::Invocation nameless = Batch("echo", 2);
  nameless.mutable_batch(0)->clear_delivery_id();
  EXPECT_NE(ResultOf(nameless).error().message().find("batch[0].delivery_id"), std::string::npos);
}

TEST_P(BatchesTest, ADeliveryTellsAFunctionWhatItIs) {
  manager_->Put("http", HttpTo(Url("/any")));
  StartNode();
  ipb::Invocation delivery = Delivery("uid.replay-7", "http");
  delivery.set_attempt(3);
  delivery.set_replay(true);
  delivery.set_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  EXPECT_EQ(ResultOf(delivery).outcome(), Result::SUCCEEDED);
  const http::Request request = LastRequest();
  EXPECT_EQ(request.headers.Get("penstock-delivery-id"), "uid.replay-7");
  EXPECT_EQ(request.headers.Get("penstock-attempt"), "3");
  EXPECT_EQ(request.headers.Get("penstock-replay"), "true");
  EXPECT_EQ(request.headers.Get("prefer"), "reply");
  EXPECT_EQ(request.headers.Get("traceparent"), delivery.traceparent());
  EXPECT_EQ(ResultOf(Delivery("d1", "http")).outcome(), Result::SUCCEEDED);
  EXPECT_FALSE(LastRequest().headers.Has("penstock-replay"));
}

TEST_P(BatchesTest, ResultsTellOfDeadlinesAndAskedForDelays) {
  manager_->Put("slow", HttpTo(Url("/hang")));
  manager_->Put("busy", HttpTo(Url("/busy")));
  manager_->Put("fail", HttpTo(Url("/fail")));
  StartNode();
  ipb::Invocation slow = Delivery("slow", "slow");
  slow.mutable_timeout()->set_seconds(0);
  slow.mutable_timeout()->set_nanos(50'000'000);
  const Result late = ResultOf(slow);
  EXPECT_EQ(late.outcome(), Result::RETRYABLE);
  EXPECT_TRUE(late.timed_out());
  const Result busy = ResultOf(Delivery("busy", "busy"));
  EXPECT_EQ(busy.outcome(), Result::RETRYABLE);
  EXPECT_EQ(busy.retry_after().seconds(), 7);
  EXPECT_FALSE(busy.timed_out());
  EXPECT_FALSE(ResultOf(Delivery("fail", "fail")).has_retry_after());
}

}  // namespace
}  // namespace penstock::executor
