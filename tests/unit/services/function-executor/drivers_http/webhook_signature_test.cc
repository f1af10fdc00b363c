#include "services/function-executor/drivers/http/webhook_signature.h"

#include <memory>
#include <string>

#include "gtest/gtest.h"

namespace penstock::executor {
namespace {

constexpr char kKey[] = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
constexpr char kId[] = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const WallTime kNow = FromUnixMicros(1'614'265'330'999'999);

http::ClientRequest Request() {
  http::ClientRequest request;
  request.body = std::make_shared<const std::string>(R"({"test": 2432232314})");
  return request;
}

// The example of the specification's reference libraries.
TEST(WebhookSignatureTest, IsThatOfStandardWebhooks) {
  http::ClientRequest request = Request();
  ASSERT_TRUE(SignWebhook({{"key", kKey}}, kId, kNow, &request).ok());
  EXPECT_EQ(request.headers.Get("webhook-id"), kId);
  EXPECT_EQ(request.headers.Get("webhook-timestamp"), "1614265330");
  EXPECT_EQ(request.headers.Get("webhook-signature"),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

TEST(WebhookSignatureTest, EachValueSignsSoThatKeysCanBeReplaced) {
  http::ClientRequest one = Request();
  ASSERT_TRUE(SignWebhook({{"new", "plain text"}}, kId, kNow, &one).ok());
  http::ClientRequest both = Request();
  ASSERT_TRUE(SignWebhook({{"new", "plain text"}, {"old", kKey}}, kId, kNow, &both).ok());
  EXPECT_EQ(both.headers.Get("webhook-signature"),
            std::string(one.headers.Get("webhook-signature")) +
                " v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

TEST(WebhookSignatureTest, WhatTheSenderOfAnHttpEventClaimsIsReplaced) {
  http::ClientRequest request = Request();
  request.headers.Add("Webhook-Signature", "v1,forged");
  request.headers.Add("Webhook-Id", "forged");
  ASSERT_TRUE(SignWebhook({{"key", kKey}}, kId, kNow, &request).ok());
  EXPECT_EQ(request.headers.GetAll("webhook-signature").size(), 1U);
  EXPECT_EQ(request.headers.GetAll("webhook-id").size(), 1U);
  EXPECT_EQ(request.headers.Get("webhook-id"), kId);
}

TEST(WebhookSignatureTest, ARequestWithoutABodyIsSignedToo) {
  http::ClientRequest request = Request();
  request.body = nullptr;
  ASSERT_TRUE(SignWebhook({{"key", "k"}}, kId, kNow, &request).ok());
  EXPECT_TRUE(request.headers.Has("webhook-signature"));
}

TEST(WebhookSignatureTest, AKeyThatIsNoneIsRefusedWithoutShowingIt) {
  for (const SecretValues& bad : {SecretValues{}, SecretValues{{"a", ""}},
                                  SecretValues{{"a", "whsec_"}}, SecretValues{{"a", "whsec_!!"}}}) {
    http::ClientRequest request = Request();
    const absl::Status status = SignWebhook(bad, kId, kNow, &request);
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_EQ(status.message().find("!!"), absl::string_view::npos) << status;
    EXPECT_FALSE(request.headers.Has("webhook-signature"));
  }
}

}  // namespace
}  // namespace penstock::executor
