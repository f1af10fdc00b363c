// Holds on functions, and who may ask for them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "libs/base/status.h"
#include "libs/rpc/metadata.h"
#include "tests/contract/function-manager/fixture.h"

namespace penstock::functions {
namespace {

using testing::HasSubstr;
using Registry = pbi::FunctionRegistryService::Stub;

TEST_P(FunctionManagerTest, DoesNotDeleteAFunctionInUse) {
  const auto made = Create("f");
  ASSERT_TRUE(made.ok());
  const auto acquired = Acquire("f", "s1");
  ASSERT_TRUE(acquired.ok()) << acquired.status();
  EXPECT_EQ(acquired->function_uid(), made->uid());
  EXPECT_GT(acquired->revision(), 0);
  const absl::Status status = Delete("f");
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReasonOf(status), "FUNCTION_IN_USE");
  EXPECT_THAT(std::string(status.message()), HasSubstr("spaces/default/subscriptions/s1"));
  EXPECT_TRUE(Release("f", "s1").ok());
  EXPECT_TRUE(Release("f", "s1").ok());
  EXPECT_TRUE(Delete("f").ok());
  EXPECT_EQ(Acquire("f", "s1").status().code(), absl::StatusCode::kNotFound);
}

TEST_P(FunctionManagerTest, LetsEitherTheDeletionOrTheAcquisitionWin) {
  for (int round = 0; round < 20; ++round) {
    ASSERT_TRUE(Create("f").ok());
    absl::Status deleted;
    absl::Status acquired;
    std::thread deleter([&] { deleted = Delete("f"); });
    std::thread acquirer([&] { acquired = Acquire("f", "s1").status(); });
    deleter.join();
    acquirer.join();
    ASSERT_NE(deleted.ok(), acquired.ok()) << deleted << " " << acquired;
    if (acquired.ok()) {
      EXPECT_EQ(deleted.code(), absl::StatusCode::kFailedPrecondition);
      ASSERT_TRUE(Release("f", "s1").ok());
      ASSERT_TRUE(Delete("f").ok());
    } else {
      EXPECT_EQ(acquired.code(), absl::StatusCode::kNotFound);
    }
  }
}

TEST_P(FunctionManagerTest, ReconcilesHolds) {
  ASSERT_TRUE(Create("f").ok());
  ASSERT_TRUE(Create("g").ok());
  ASSERT_TRUE(Acquire("f", "old").ok());
  ASSERT_TRUE(Acquire("g", "kept").ok());
  pbi::ReconcileFunctionReferencesRequest request;
  request.set_service("event-broker");
  const auto add = [&](const std::string& id, const std::string& holder) {
    auto* reference = request.add_references();
    reference->set_function(NameOf(id));
    reference->set_holder(HolderOf(holder));
  };
  add("g", "kept");
  add("none", "s3");
  const auto result = Call(*registry_, &Registry::ReconcileFunctionReferences, request, AsPeer());
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->released_count(), 1);
  ASSERT_EQ(result->missing_size(), 1);
  EXPECT_EQ(result->missing(0).function(), NameOf("none"));
  EXPECT_EQ(result->missing(0).holder(), HolderOf("s3"));
  EXPECT_GT(result->revision(), 0);
  EXPECT_TRUE(Delete("f").ok());
  EXPECT_EQ(Delete("g").code(), absl::StatusCode::kFailedPrecondition);
}

TEST_P(FunctionManagerTest, ServesInternalCallsToPeersOnly) {
  const auto with_token = [](const std::string& token) {
    return
        [token](grpc::ClientContext& context) { context.AddMetadata(rpc::kPeerTokenKey, token); };
  };
  const auto codes = [&](const std::function<void(grpc::ClientContext&)>& prepare) {
    std::vector<absl::StatusCode> seen;
    seen.push_back(Call(*registry_, &Registry::AcquireFunctionReference,
                        pbi::AcquireFunctionReferenceRequest(), prepare)
                       .status()
                       .code());
    seen.push_back(Call(*registry_, &Registry::ReleaseFunctionReference,
                        pbi::ReleaseFunctionReferenceRequest(), prepare)
                       .status()
                       .code());
    seen.push_back(Call(*registry_, &Registry::ReconcileFunctionReferences,
                        pbi::ReconcileFunctionReferencesRequest(), prepare)
                       .status()
                       .code());
    auto context = NewContext();
    if (prepare) prepare(*context);
    auto reader = registry_->WatchFunctions(context.get(), pbi::WatchFunctionsRequest());
    pbi::WatchFunctionsResponse response;
    EXPECT_FALSE(reader->Read(&response));
    seen.push_back(rpc::FromGrpcStatus(reader->Finish()).code());
    return seen;
  };
  EXPECT_THAT(codes({}), testing::Each(absl::StatusCode::kUnauthenticated));
  EXPECT_THAT(codes(with_token(std::string(64, '0'))),
              testing::Each(absl::StatusCode::kPermissionDenied));
}

}  // namespace
}  // namespace penstock::functions
