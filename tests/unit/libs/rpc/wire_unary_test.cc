#include "libs/rpc/wire_unary.h"

#include <gmock/gmock.h>
#include <google/protobuf/wrappers.pb.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "libs/base/status.h"
#include "libs/h2/grpc_wire.h"
#include "libs/h2/server.h"
#include "libs/http/dns.h"
#include "libs/http/event_loops.h"
#include "libs/rpc/channel.h"
#include "libs/rpc/status.h"

namespace penstock::rpc {
namespace {

using google::protobuf::StringValue;
using std::chrono::milliseconds;
using testing::HasSubstr;

std::string MessageOf(const std::string& text) {
  StringValue value;
  value.set_value(text);
  std::string bytes;
  h2::AppendGrpcMessage(bytes, value.SerializeAsString());
  return bytes;
}

h2::Fields AnswerHead() {
  h2::Fields head;
  head.Add(":status", "200");
  head.Add("content-type", "application/grpc");
  head.Add("x-zone", "north");
  return head;
}

h2::Fields Trailers(const h2::GrpcStatus& status = {}) {
  h2::Fields trailers;
  h2::AddGrpcStatus(status, trailers);
  trailers.Add("penstock-revision", "function-manager:7");
  trailers.Add("digest-bin", "AAEC");
  return trailers;
}

// A server's end of one call: collects the request and then does what the script says.
class Served final : public h2::StreamHandler {
 public:
  using Script = std::function<void(h2::Stream&, const h2::Fields& head, const std::string& body)>;

  Served(h2::Stream& stream, h2::Fields head, Script script)
      : stream_(stream), head_(std::move(head)), script_(std::move(script)) {}
  void OnHead(h2::Fields, bool) override {}
  void OnData(h2::Chunk data) override {
    body_ += data.view();
    stream_.Consume(data.size());
  }
  void OnEnd(h2::Fields) override { script_(stream_, head_, body_); }
  void OnSent(std::size_t) override {}
  void OnClosed(h2::ErrorCode) override {}

 private:
  h2::Stream& stream_;
  const h2::Fields head_;
  const Script script_;
  std::string body_;
};

void Answer(h2::Stream& stream, std::string_view body, h2::Fields trailers = Trailers()) {
  stream.SendHead(AnswerHead(), false);
  if (!body.empty()) stream.Write(h2::Chunk::Copy(body));
  stream.End(std::move(trailers));
}

struct Result {
  absl::Status status;
  std::string value;
  std::string zone;
  std::string revision;
  std::string digest;
};

class UnaryCallerTest : public testing::Test {
 protected:
  UnaryCallerTest() {
    auto started = h2::Server::Start(loops_, {}, [this](h2::Stream& stream, h2::Fields head, bool) {
      ++requests_;
      if (refusals_ > 0) {
        --refusals_;
        return stream.Reset(h2::ErrorCode::kRefusedStream);
      }
      const std::lock_guard lock(served_mutex_);
      served_.push_back(std::make_unique<Served>(stream, std::move(head), script_));
      stream.SetHandler(served_.back().get());
    });
    EXPECT_TRUE(started.ok()) << started.status();
    server_ = *std::move(started);
    caller_ = Make("localhost:" + std::to_string(server_->port()));
  }
  ~UnaryCallerTest() override {
    caller_.reset();
    server_.reset();
    dns_.Stop();
    loops_.Stop();
  }

  std::unique_ptr<UnaryCaller> Make(const std::string& address) {
    auto made = UnaryCaller::Create(loops_, dns_, address);
    EXPECT_TRUE(made.ok()) << made.status();
    return *std::move(made);
  }

  std::future<Result> Start(UnaryCaller& caller, const std::string& text,
                            const CallOptions& options = {}) {
    auto promise = std::make_shared<std::promise<Result>>();
    loops_.RunAndWait(0, [&] {
      auto request = std::make_shared<StringValue>();
      request->set_value(text);
      auto response = std::make_shared<StringValue>();
      caller.Call(
          "/acme.v1.Users/Get", request, response, options,
          [this, promise, response](const absl::Status& status, const ResponseMetadata& metadata) {
            EXPECT_EQ(loops_.CurrentLoop(), 0);
            promise->set_value({status, response->value(), std::string(metadata.Initial("x-zone")),
                                std::string(metadata.Trailing("penstock-revision")),
                                std::string(metadata.Trailing("digest-bin"))});
          });
    });
    return promise->get_future();
  }
  Result Call(const std::string& text = "ada", const CallOptions& options = {}) {
    auto future = Start(*caller_, text, options);
    if (future.wait_for(std::chrono::seconds(10)) != std::future_status::ready) {
      ADD_FAILURE() << "the call has no end";
      return {};
    }
    return future.get();
  }

  http::EventLoops loops_{{.threads = 2, .name = "test"}};
  http::Dns dns_{loops_, milliseconds(1'000)};
  std::unique_ptr<h2::Server> server_;
  std::unique_ptr<UnaryCaller> caller_;
  // Set before calls.
  Served::Script script_;
  std::mutex served_mutex_;
  std::vector<std::unique_ptr<Served>> served_;
  std::atomic<int> refusals_ = 0;
  std::atomic<int> requests_ = 0;
};

TEST_F(UnaryCallerTest, AnswersWithTheMessageAndTheMetadata) {
  std::promise<std::map<std::string, std::string>> seen;
  script_ = [&](h2::Stream& stream, const h2::Fields& head, const std::string& body) {
    std::map<std::string, std::string> fields;
    for (const auto& [name, value] : head) fields.emplace(name, value);
    fields.emplace("body", body);
    seen.set_value(std::move(fields));
    Answer(stream, MessageOf("lovelace"));
  };
  CallOptions options;
  options.timeout = milliseconds(5'000);
  options.metadata = {{"tenant", "shop"}, {"proof-bin", std::string("\0\1\2", 3)}};
  const Result result = Call("ada", options);
  EXPECT_TRUE(result.status.ok()) << result.status;
  EXPECT_EQ(result.value, "lovelace");
  EXPECT_EQ(result.zone, "north");
  EXPECT_EQ(result.revision, "function-manager:7");
  EXPECT_EQ(result.digest, std::string("\0\1\2", 3));
  auto fields = seen.get_future().get();
  EXPECT_EQ(fields[":method"], "POST");
  EXPECT_EQ(fields[":path"], "/acme.v1.Users/Get");
  EXPECT_EQ(fields["te"], "trailers");
  EXPECT_EQ(fields["content-type"], "application/grpc");
  EXPECT_EQ(fields["tenant"], "shop");
  EXPECT_EQ(fields["proof-bin"], "AAEC");
  EXPECT_EQ(fields["body"], MessageOf("ada"));
  const auto timeout = h2::ParseGrpcTimeout(fields["grpc-timeout"]);
  ASSERT_TRUE(timeout.has_value());
  EXPECT_LE(*timeout, milliseconds(5'000));
  EXPECT_GT(*timeout, milliseconds(0));
}

TEST_F(UnaryCallerTest, ConnectsOnlyWhereItMay) {
  script_ = [&](h2::Stream& stream, const h2::Fields&, const std::string&) {
    Answer(stream, MessageOf("lovelace"));
  };
  std::atomic<bool> is_allowed = false;
  UnaryCallerOptions options;
  options.egress = [&](const std::string& address, std::uint16_t port) {
    EXPECT_TRUE(address == "127.0.0.1" || address == "::1") << address;
    EXPECT_EQ(port, server_->port());
    if (is_allowed) return absl::OkStatus();
    return absl::PermissionDeniedError("loopback is not allowed");
  };
  auto made = UnaryCaller::Create(loops_, dns_, "localhost:" + std::to_string(server_->port()),
                                  std::move(options));
  ASSERT_TRUE(made.ok()) << made.status();
  const Result denied = Start(**made, "ada").get();
  EXPECT_EQ(denied.status.code(), absl::StatusCode::kPermissionDenied) << denied.status;
  EXPECT_EQ(ReasonOf(denied.status), "EGRESS_DENIED");
  EXPECT_EQ(requests_, 0);
  is_allowed = true;
  // After a failure it pauses before it connects again.
  Result result;
  do {
    result = Start(**made, "ada").get();
  } while (absl::IsPermissionDenied(result.status));
  EXPECT_TRUE(result.status.ok()) << result.status;
  EXPECT_EQ(result.value, "lovelace");
}

TEST_F(UnaryCallerTest, TakesAnAnswerInPieces) {
  const std::string large(300'000, 'x');
  script_ = [&](h2::Stream& stream, const h2::Fields&, const std::string&) {
    stream.SendHead(AnswerHead(), false);
    const std::string body = MessageOf(large);
    for (std::size_t at = 0; at < body.size(); at += 7'001) {
      stream.Write(h2::Chunk::Copy(std::string_view(body).substr(at, 7'001)));
    }
    stream.End(Trailers());
  };
  const Result result = Call();
  EXPECT_TRUE(result.status.ok()) << result.status;
  EXPECT_EQ(result.value, large);
}

TEST_F(UnaryCallerTest, SendsLargeRequestsAndEmptyMessages) {
  script_ = [&](h2::Stream& stream, const h2::Fields&, const std::string& body) {
    Answer(stream, body);
  };
  EXPECT_EQ(Call(std::string(3'000'000, 'y')).value.size(), 3'000'000u);
  const Result empty = Call("");
  EXPECT_TRUE(empty.status.ok()) << empty.status;
  EXPECT_EQ(empty.value, "");
}

TEST_F(UnaryCallerTest, ErrorsKeepTheirDetails) {
  for (const bool trailers_only : {true, false}) {
    script_ = [&](h2::Stream& stream, const h2::Fields&, const std::string&) {
      const auto proto = ToProtoStatus(FieldError("name", "is taken ✓"));
      const h2::GrpcStatus status{absl::StatusCode::kInvalidArgument, proto.message(),
                                  proto.SerializeAsString()};
      if (!trailers_only) return Answer(stream, "", Trailers(status));
      h2::Fields head = AnswerHead();
      for (const auto& [name, value] : Trailers(status)) head.Add(name, value);
      stream.SendHead(std::move(head), true);
    };
    const Result result = Call();
    EXPECT_EQ(result.status, FieldError("name", "is taken ✓"));
    EXPECT_EQ(result.revision, "function-manager:7");
  }
}

struct BadAnswer {
  const char* what;
  Served::Script script;
  absl::StatusCode code;
  const char* text;
};

TEST_F(UnaryCallerTest, WhatIsNoAnswerIsAnError) {
  const BadAnswer kAnswers[] = {
      {"no status",
       [](auto& stream, auto&, auto&) { Answer(stream, MessageOf("a"), h2::Fields()); },
       absl::StatusCode::kUnknown, "without a status"},
      {"no message", [](auto& stream, auto&, auto&) { Answer(stream, ""); },
       absl::StatusCode::kInternal, "has no message"},
      {"two messages",
       [](auto& stream, auto&, auto&) { Answer(stream, MessageOf("a") + MessageOf("b")); },
       absl::StatusCode::kInternal, "more than one message"},
      {"half a message",
       [](auto& stream, auto&, auto&) { Answer(stream, MessageOf("abc").substr(0, 7)); },
       absl::StatusCode::kInternal, "not complete"},
      {"half a prefix",
       [](auto& stream, auto&, auto&) { Answer(stream, MessageOf("abc").substr(0, 3)); },
       absl::StatusCode::kInternal, "not complete"},
      {"a compressed one",
       [](auto& stream, auto&, auto&) {
         std::string bytes;
         h2::AppendGrpcMessage(bytes, "zip", true);
         Answer(stream, bytes);
       },
       absl::StatusCode::kInternal, "compressed"},
      {"other bytes",
       [](auto& stream, auto&, auto&) {
         std::string bytes;
         h2::AppendGrpcMessage(bytes, "\xff\xff");
         Answer(stream, bytes);
       },
       absl::StatusCode::kInternal, "cannot be read"},
      {"no gRPC",
       [](auto& stream, auto&, auto&) {
         h2::Fields head;
         head.Add(":status", "404");
         stream.SendHead(std::move(head), false);
         stream.Write(h2::Chunk::Copy("not here"));
         stream.End();
       },
       absl::StatusCode::kUnavailable, "does not speak gRPC: it answered 404"},
      {"too large",
       [](auto& stream, auto&, auto&) {
         Answer(stream, MessageOf(std::string(kMessageBytesMax + 1, 'x')));
       },
       absl::StatusCode::kResourceExhausted, "larger than"},
      {"a reset", [](auto& stream, auto&, auto&) { stream.Reset(h2::ErrorCode::kEnhanceYourCalm); },
       absl::StatusCode::kResourceExhausted, "reset"},
  };
  for (const BadAnswer& bad : kAnswers) {
    script_ = bad.script;
    const Result result = Call();
    EXPECT_EQ(result.status.code(), bad.code) << bad.what << ": " << result.status;
    EXPECT_THAT(std::string(result.status.message()), HasSubstr(bad.text)) << bad.what;
  }
  script_ = [](auto& stream, auto&, auto&) { Answer(stream, MessageOf("well")); };
  EXPECT_EQ(Call().value, "well") << "after all of that";
}

TEST_F(UnaryCallerTest, MakesARefusedCallOnceMore) {
  script_ = [](auto& stream, auto&, const std::string& body) { Answer(stream, body); };
  refusals_ = 1;
  EXPECT_EQ(Call("again").value, "again");
  EXPECT_EQ(requests_, 2);
  refusals_ = 2;
  EXPECT_EQ(Call().status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(requests_, 4) << "and no third time";
}

TEST_F(UnaryCallerTest, EndsAtItsDeadline) {
  script_ = [](auto&, auto&, auto&) {};
  CallOptions options;
  options.timeout = milliseconds(20);
  EXPECT_EQ(Call("ada", options).status.code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(UnaryCallerTest, EndsWhenItIsCancelled) {
  std::promise<void> arrived;
  script_ = [&](auto&, auto&, auto&) { arrived.set_value(); };
  CallOptions options;
  options.cancellation = std::make_shared<Cancellation>();
  auto future = Start(*caller_, "ada", options);
  arrived.get_future().wait();
  options.cancellation->Cancel();
  ASSERT_EQ(future.wait_for(std::chrono::seconds(10)), std::future_status::ready);
  EXPECT_EQ(future.get().status.code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(Call("ada", options).status.code(), absl::StatusCode::kCancelled)
      << "cancelled before it begins";
}

TEST_F(UnaryCallerTest, SaysWhyThereIsNoConnection) {
  const std::string address = "localhost:" + std::to_string(server_->port());
  server_.reset();
  const auto caller = Make(address);
  auto future = Start(*caller, "ada");
  ASSERT_EQ(future.wait_for(std::chrono::seconds(10)), std::future_status::ready);
  const absl::Status status = future.get().status;
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("cannot connect to " + address));
}

TEST_F(UnaryCallerTest, StoppingEndsCalls) {
  std::promise<void> arrived;
  script_ = [&](auto&, auto&, auto&) { arrived.set_value(); };
  auto future = Start(*caller_, "ada");
  arrived.get_future().wait();
  caller_->Stop();
  ASSERT_EQ(future.wait_for(std::chrono::seconds(10)), std::future_status::ready);
  EXPECT_EQ(future.get().status.code(), absl::StatusCode::kUnavailable);
}

TEST(UnaryCallerAddressTest, TakesHostsWithPorts) {
  for (const char* address :
       {"127.0.0.1:9020", "dns:broker:9020", "dns:///broker:9020", "[::1]:1"}) {
    EXPECT_TRUE(UnaryCaller::Takes(address)) << address;
  }
  for (const char* address : {"inproc:broker", "unix:/run/a:1", "unix-abstract:a", "broker", ""}) {
    EXPECT_FALSE(UnaryCaller::Takes(address)) << address;
  }
}

}  // namespace
}  // namespace penstock::rpc
