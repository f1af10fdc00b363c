#include "services/gateway/api/backends.h"

#include <gtest/gtest.h>

#include <string>

#include "libs/base/status.h"
#include "libs/http/event_loops.h"

namespace penstock::gateway {
namespace {

TEST(OwnerOfTest, KnowsThePublicPackages) {
  EXPECT_EQ(OwnerOf("/penstock.events.v1.EventBrokerService/Publish"), Backend::kEventBroker);
  EXPECT_EQ(OwnerOf("/penstock.events.v1alpha1.X/Y"), Backend::kEventBroker);
  EXPECT_EQ(OwnerOf("/penstock.functions.v1.FunctionManagerService/GetFunction"),
            Backend::kFunctionManager);
  EXPECT_EQ(OwnerOf("/penstock.executions.v1.FunctionExecutorService/Invoke"),
            Backend::kFunctionExecutor);
}

TEST(OwnerOfTest, DoesNotNeedTheSlash) {
  EXPECT_EQ(OwnerOf("penstock.events.v1.X/Y"), Backend::kEventBroker);
}

TEST(OwnerOfTest, KnowsNothingInternalOrForeign) {
  for (const char* method :
       {"/penstock.internal.v1.RouteService/WatchRoutes", "/penstock.runtime.v1.X/Y", "/x.Y/Z", "",
        "/", "/penstock.eventsX.v1.A/B", "//penstock.events.v1.X/Y"}) {
    EXPECT_FALSE(OwnerOf(method).has_value()) << method;
  }
}

TEST(BackendsTest, NamesTheServiceThatIsLost) {
  http::EventLoops loops;
  const Backends backends(loops, {"127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"});
  const absl::Status named =
      backends.Named(Backend::kFunctionExecutor, absl::UnavailableError("refused"));
  EXPECT_EQ(named.message(), "the function-executor at 127.0.0.1:3 is not available: refused");
  EXPECT_EQ(ReasonOf(named), "SERVICE_UNAVAILABLE");
}

TEST(BackendsTest, LeavesOtherErrorsAlone) {
  http::EventLoops loops;
  const Backends backends(loops, {"127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"});
  const absl::Status missing = absl::NotFoundError("no");
  EXPECT_EQ(backends.Named(Backend::kEventBroker, missing), missing);
  const absl::Status said = WithReason(absl::UnavailableError("full disk"), "DISK_FULL");
  EXPECT_EQ(backends.Named(Backend::kEventBroker, said), said);
}

}  // namespace
}  // namespace penstock::gateway
