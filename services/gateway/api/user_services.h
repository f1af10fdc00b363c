// The REST forms of users' own gRPC services, after descriptors that come at run time.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/metrics/metrics.h"
#include "libs/transcode/descriptor_set.h"
#include "libs/transcode/route_table.h"
#include "services/gateway/api/http_call.h"
#include "services/gateway/api/http_metadata.h"
#include "services/gateway/api/reflection_reader.h"
#include "services/gateway/api/user_upstream.h"

namespace penstock::gateway {

// A method of a user's service, whether or not a rule names it.
struct UserMethod {
  // Keeps the types as long as they are used; null when there is no such method.
  std::shared_ptr<const void> types;
  const google::protobuf::MethodDescriptor* method = nullptr;
  const google::protobuf::Message* request_prototype = nullptr;
  const google::protobuf::Message* response_prototype = nullptr;
  std::shared_ptr<UserUpstream> upstream;
};

// Serves one table of routes for all configured services. Files are looked at twice a second, and
// servers asked again when their reflection stream has ended; a set that is refused leaves the one
// before it in place. Requests take the table that is there when they come, and keep it.
// Thread-safe.
class UserServices {
 public:
  // Reads the descriptors that are files: an error names the service and what is wrong, a rule that
  // takes paths of `suite` among them. Servers are asked from Start on, whether they run yet or
  // not.
  static absl::StatusOr<std::unique_ptr<UserServices>> Create(
      std::vector<UserServiceOptions> services, std::shared_ptr<const transcode::RouteTable> suite,
      HeaderRules headers, metrics::Registry& metrics) {
    return Create(std::move(services), std::move(suite), std::move(headers), metrics, nullptr);
  }
  // The same in place of `before`, which may go on: what that serves of the same services is taken
  // over. Servers that are new or elsewhere are asked here, each for up to five seconds; one that
  // does not answer is asked again from Start on.
  static absl::StatusOr<std::unique_ptr<UserServices>> Create(
      std::vector<UserServiceOptions> services, std::shared_ptr<const transcode::RouteTable> suite,
      HeaderRules headers, metrics::Registry& metrics, const UserServices* before);

  ~UserServices();
  UserServices(const UserServices&) = delete;
  UserServices& operator=(const UserServices&) = delete;

  // Begins watching; at a second call it does nothing.
  void Start();
  // Ends watching; what is served goes on. Idempotent.
  void Stop();

  // Whether one made of these would be the same.
  bool IsFor(const std::vector<UserServiceOptions>& services, const HeaderRules& headers) const;

  // False, and nothing is done, when no rule takes the request.
  bool Handle(const std::shared_ptr<HttpCall>& call) const;
  // Answers 405 when the path has rules for other methods; else false.
  bool RefuseMethod(const std::shared_ptr<HttpCall>& call) const;
  // The method of a full name, "acme.v1.Users/Get", by the descriptors that are there now.
  UserMethod FindMethod(std::string_view full_name) const;

 private:
  struct Snapshot;
  struct Service;

  UserServices(std::vector<std::unique_ptr<Service>> services,
               std::shared_ptr<const transcode::RouteTable> suite, HeaderRules headers,
               metrics::Registry& metrics);

  std::shared_ptr<const Snapshot> Current() const;
  // The service of that name; null when there is none.
  const Service* Find(const std::string& name, std::size_t* index) const;
  // Gives a service its first set: that which `before` has, or a new one.
  absl::Status Begin(std::size_t index, const UserServices* before);
  // Takes a set for one service, in place of what it had.
  absl::Status Replace(std::size_t index, std::shared_ptr<const transcode::DescriptorSet> set);
  absl::Status CheckPlace(const transcode::Binding& binding) const;

  void Run();
  // Reads a service's descriptors if they may have changed, and logs what came of it.
  void Refresh(std::size_t index);
  absl::Status ReadFile(std::size_t index);
  absl::Status ReadServer(std::size_t index);
  void Call(const std::shared_ptr<HttpCall>& call, std::shared_ptr<const Snapshot> snapshot,
            const transcode::MatchResult& match) const;

  const std::shared_ptr<const transcode::RouteTable> suite_;
  const HeaderRules headers_;
  metrics::Counter& taken_;
  metrics::Counter& refused_;
  const std::vector<std::unique_ptr<Service>> services_;
  mutable std::mutex mutex_;
  std::shared_ptr<const Snapshot> snapshot_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace penstock::gateway
