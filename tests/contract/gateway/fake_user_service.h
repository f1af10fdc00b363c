// A user's gRPC service, without any of its types compiled in. Thread-safe.
#pragma once

#include <google/protobuf/descriptor.pb.h>
#include <grpcpp/generic/async_generic_service.h>

#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace penstock::gateway {

// What the service does depends on the last part of a method's name:
// - GetItem, GetNewItem, UpdateItem, Chat: every message comes back as it is;
// - ListItems: three copies of the request;
// - AddItems: all messages merged into one;
// - Download: "hello " and "world" as text/plain, and an error when the title is "broken";
// - Upload: the number and total size of the messages, as "2 70000";
// - Fail: NOT_FOUND with details;
// - Hang: no answer before the call is cancelled;
// - ServerReflectionInfo (v1alpha only): the files given to SetFiles.
class FakeUserService final {
 public:
  // As grpc::CallbackGenericService.
  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext* context);

  void SetFiles(google::protobuf::FileDescriptorSet files);
  google::protobuf::FileDescriptorSet files() const;

  // The metadata of the last call that was no reflection: all values of a key.
  std::vector<std::string> Metadata(const std::string& key) const;
  // Calls of Hang that run.
  int hanging() const;

 private:
  class Call;

  mutable std::mutex mutex_;
  google::protobuf::FileDescriptorSet files_;
  std::vector<std::pair<std::string, std::string>> metadata_;
  int hanging_ = 0;
};

// What one server is given, as gRPC lets an object serve only once.
class UserServiceFront final : public grpc::CallbackGenericService {
 public:
  explicit UserServiceFront(FakeUserService& service) : service_(service) {}
  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override {
    return service_.CreateReactor(context);
  }

 private:
  FakeUserService& service_;
};

}  // namespace penstock::gateway
