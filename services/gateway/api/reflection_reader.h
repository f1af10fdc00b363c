// Descriptors from a server's own reflection service.
#pragma once

#include <google/protobuf/descriptor.pb.h>
#include <grpcpp/channel.h>

#include <chrono>
#include <functional>
#include <memory>

#include "absl/status/statusor.h"

namespace penstock::gateway {

// One conversation with a server's reflection service, which stays open after the answers: its end
// says that the server went away, and may have come back as another one.
class ReflectionReader {
 public:
  // `on_lost` is called once, when the conversation ends by itself after Read succeeded; it must
  // not call the reader.
  static std::shared_ptr<ReflectionReader> Open(std::shared_ptr<grpc::Channel> channel,
                                                std::function<void()> on_lost);

  virtual ~ReflectionReader() = default;

  // The files of all services but gRPC's own, with their imports. Once, and not on a gRPC thread:
  // it blocks, at most for `timeout` a question. Asks grpc.reflection.v1 first, and v1alpha where
  // that is not known. UNIMPLEMENTED when the server has neither.
  virtual absl::StatusOr<google::protobuf::FileDescriptorSet> Read(
      std::chrono::milliseconds timeout) = 0;

  // Ends the conversation; on_lost is not called any more once this returned. Idempotent.
  virtual void Close() = 0;
};

}  // namespace penstock::gateway
