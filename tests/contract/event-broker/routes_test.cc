#include "tests/contract/event-broker/fixture.h"

namespace penstock::broker {
namespace {

class RouteTest : public EventBrokerTest {
 protected:
  void Watch() {
    context_ = NewContext();
    auth_->Attach(*context_);
    watch_ = routes_->WatchRoutes(context_.get(), {});
  }
  // The next message.
  pbi::WatchRoutesResponse Next() {
    pbi::WatchRoutesResponse response;
    EXPECT_TRUE(watch_->Read(&response));
    return response;
  }
  void EndWatch() {
    context_->TryCancel();
    pbi::WatchRoutesResponse response;
    while (watch_->Read(&response)) {
    }
    watch_->Finish();
  }

  std::unique_ptr<grpc::ClientContext> context_;
  std::unique_ptr<grpc::ClientReader<pbi::WatchRoutesResponse>> watch_;
};
INSTANTIATE_TEST_SUITE_P(Transports, RouteTest,
                         testing::Values(Transport::kTcp, Transport::kInProcess));

TEST_P(RouteTest, WatchersGetASnapshotThenChanges) {
  pb::Subscription subscription = Routed("/users/:id");
  subscription.mutable_http()->set_method("get");
  subscription.mutable_http()->set_host("Example.com");
  ASSERT_TRUE(Create("user", subscription).ok());
  Watch();
  const auto snapshot = Next();
  EXPECT_TRUE(snapshot.snapshot_begin());
  EXPECT_TRUE(snapshot.snapshot_end());
  EXPECT_EQ(snapshot.revision(), 1);
  ASSERT_EQ(snapshot.changes_size(), 1);
  const pbi::Route& route = snapshot.changes(0).route();
  EXPECT_EQ(route.subscription(), NameOf("user"));
  EXPECT_EQ(route.method(), "GET");
  EXPECT_EQ(route.path(), "/users/:id");
  EXPECT_EQ(route.host(), "example.com");
  EXPECT_EQ(route.function(), "spaces/default/functions/bill");
  EXPECT_FALSE(route.publish());

  std::string revision;
  ASSERT_TRUE(Create("team", Routed("/teams"), &revision).ok());
  const auto added = Next();
  EXPECT_FALSE(added.snapshot_begin());
  EXPECT_EQ("event-broker:" + std::to_string(added.revision()), revision);
  ASSERT_EQ(added.changes_size(), 1);
  EXPECT_EQ(added.changes(0).route().method(), "POST");
  ASSERT_TRUE(Delete("team").ok());
  const auto removed = Next();
  ASSERT_EQ(removed.changes_size(), 1);
  EXPECT_TRUE(removed.changes(0).deleted());
  EXPECT_EQ(removed.changes(0).route().subscription(), NameOf("team"));
  EndWatch();
}

TEST_P(RouteTest, RoutesSayWhetherRequestsAreEvents) {
  ASSERT_TRUE(Create("user", Routed("/users")).ok());
  Watch();
  EXPECT_FALSE(Next().changes(0).route().publish());
  ASSERT_TRUE(Create("audit", Wanted("http.*")).ok());
  const auto changed = Next();
  ASSERT_EQ(changed.changes_size(), 1);
  EXPECT_TRUE(changed.changes(0).route().publish());
  // What does not concern routes still brings its revision.
  ASSERT_TRUE(Create("orders", Wanted("order.paid")).ok());
  const auto revision = Next();
  EXPECT_EQ(revision.changes_size(), 0);
  EXPECT_GT(revision.revision(), changed.revision());
  ASSERT_TRUE(Delete("audit").ok());
  EXPECT_FALSE(Next().changes(0).route().publish());
  EndWatch();
}

TEST_P(RouteTest, ARouteBelongsToOneSubscription) {
  ASSERT_TRUE(Create("user", Routed("/users/:id")).ok());
  EXPECT_EQ(FieldsOf(Create("other", Routed("/users/:name")).status()), "http.path");
  ASSERT_TRUE(Create("other", Routed("/people/:id")).ok());
  pb::UpdateSubscriptionRequest update;
  *update.mutable_subscription() = Routed("/users/:x");
  update.mutable_subscription()->set_name(NameOf("other"));
  EXPECT_EQ(FieldsOf(Update(update).status()), "http.path");
  update.mutable_subscription()->mutable_http()->set_path("/persons/:x");
  EXPECT_TRUE(Update(update).ok());
  EXPECT_TRUE(Create("third", Routed("/people/:y")).ok());
  *update.mutable_subscription() = Wanted();
  update.mutable_subscription()->set_name(NameOf("other"));
  EXPECT_FALSE(Update(update).ok());  // A route stays one.
}

TEST_P(RouteTest, RoutesAreForPeersOnly) {
  const auto context = NewContext();
  const auto watch = routes_->WatchRoutes(context.get(), {});
  pbi::WatchRoutesResponse response;
  EXPECT_FALSE(watch->Read(&response));
  EXPECT_EQ(watch->Finish().error_code(), grpc::StatusCode::UNAUTHENTICATED);
}

}  // namespace
}  // namespace penstock::broker
