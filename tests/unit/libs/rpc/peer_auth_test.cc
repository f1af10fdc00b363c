#include "libs/rpc/peer_auth.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <barrier>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/libs/rpc/echo_service.h"

namespace penstock::rpc {
namespace {

class PeerAuthTest : public EchoTest {
 protected:
  PeerAuthTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "penstock-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
  }
  ~PeerAuthTest() override { std::filesystem::remove_all(folder_); }

  // The code with which a server that trusts `server` answers a caller that has `client`.
  absl::Status CallWith(const std::shared_ptr<const PeerAuth>& server,
                        const std::shared_ptr<const PeerAuth>& client) {
    service_.on_echo = [server](const EchoRequest&, EchoResponse*, CallContext& context,
                                const ServerDone& done) { done(server->Check(context)); };
    return Echo("x", {.peer_auth = client}).status();
  }

  std::filesystem::path folder_;
};
INSTANTIATE_TRANSPORTS(PeerAuthTest);

TEST_P(PeerAuthTest, OnlyTheSameTokenPasses) {
  const auto ours = PeerAuth::Random();
  EXPECT_TRUE(CallWith(ours, ours).ok());
  EXPECT_EQ(CallWith(ours, nullptr).code(), absl::StatusCode::kUnauthenticated);
  const absl::Status other = CallWith(ours, PeerAuth::Random());
  EXPECT_EQ(other.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_NE(other.message().find("peer.token_file"), absl::string_view::npos);
}

TEST_P(PeerAuthTest, ManyThatStartAtOnceGetTheSameToken) {
  const std::string path = (folder_ / "new" / "peer.token").string();
  std::vector<std::shared_ptr<const PeerAuth>> loaded(8);
  std::barrier start(8);
  std::vector<std::thread> threads;
  for (auto& slot : loaded) {
    threads.emplace_back([&] {
      start.arrive_and_wait();
      auto auth = PeerAuth::Load(path);
      EXPECT_TRUE(auth.ok()) << auth.status();
      slot = *auth;
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& auth : loaded) EXPECT_TRUE(CallWith(loaded[0], auth).ok());
  struct stat info {};
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_ / "new"), {}), 1)
      << "no temporary file is left";
}

TEST_P(PeerAuthTest, RefusesAWeakOrUnreadableFileNamingTheKey) {
  const std::string path = (folder_ / "short").string();
  std::ofstream(path) << "secret\n";
  const absl::Status weak = PeerAuth::Load(path).status();
  EXPECT_EQ(weak.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(weak.message().find("peer.token_file"), absl::string_view::npos);
  EXPECT_EQ(weak.message().find("secret"), absl::string_view::npos);
  EXPECT_FALSE(PeerAuth::Load(folder_.string()).ok()) << "a folder is no token file";
  EXPECT_FALSE(PeerAuth::Load("").ok());
}

}  // namespace
}  // namespace penstock::rpc
