// Fetches sources from the function-manager.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "libs/base/time.h"
#include "libs/rpc/channel.h"
#include "libs/rpc/peer_auth.h"
#include "services/function-executor/ports/source_fetcher.h"

namespace penstock::executor {

struct SourceClientOptions {
  // Of the function-manager: "host:port" or "inproc:function-manager".
  std::string address;
  std::shared_ptr<const rpc::PeerAuth> peer_auth;
  Microseconds timeout{60'000'000};
};

class SourceClient final : public SourceFetcher {
 public:
  explicit SourceClient(SourceClientOptions options);
  // Stops, and waits for the calls that run.
  ~SourceClient() override;

  absl::Status Fetch(const std::string& space, const std::string& digest,
                     const OnBytes& on_bytes) override;
  void Stop() override;

 private:
  class Download;

  const SourceClientOptions options_;
  rpc::LazyChannel channel_;
  std::mutex mutex_;
  std::set<Download*> running_;  // Guarded by mutex_.
  bool stopping_ = false;        // Guarded by mutex_.
};

}  // namespace penstock::executor
