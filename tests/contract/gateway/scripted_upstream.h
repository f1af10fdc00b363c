// A gRPC server outside the suite that does what the method's name says, and a client for any
// method. Messages are bytes.
#pragma once

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/server.h>

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace penstock::gateway {

// Echo: sends each message back, and the metadata "x-up" and "x-up-bin" as "x-down" and
// "x-down-bin", in the head and in the trailers. Fail: ends at once, with details. Hold: says
// nothing. Flood: sends 64 KiB messages for ever. Quit: ends at the first message.
class ScriptedUpstream {
 public:
  ScriptedUpstream();
  ~ScriptedUpstream();

  // On the port of the first start.
  void Start();
  void Stop();
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

  // All metadata of the last call.
  std::multimap<std::string, std::string> metadata() const;
  // How far away the last call's deadline was when it came; nothing without one.
  std::optional<std::chrono::milliseconds> time_left() const;

  std::atomic<int> open{0};
  std::atomic<int> cancelled{0};
  std::atomic<std::size_t> bytes_flooded{0};

 private:
  class Call;
  // A server's for good; a new one for each start.
  class Service;

  void Note(const grpc::GenericCallbackServerContext& context);

  int port_ = 0;
  std::unique_ptr<Service> service_;
  std::unique_ptr<grpc::Server> server_;
  mutable std::mutex mutex_;
  std::multimap<std::string, std::string> metadata_;
  std::optional<std::chrono::milliseconds> time_left_;
};

inline constexpr std::size_t kFloodBytes = 64 * 1024;

// One call of any method; every operation blocks.
class AnyCall {
 public:
  AnyCall(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
          std::multimap<std::string, std::string> metadata = {},
          std::chrono::milliseconds timeout = std::chrono::seconds(20));
  ~AnyCall();

  void Start();
  bool Write(const std::string& message);
  bool WritesDone();
  // Nothing at the end.
  std::optional<std::string> Read();
  grpc::Status Finish();

  grpc::ClientContext context;

 private:
  bool Wait();

  grpc::GenericStub stub_;
  grpc::CompletionQueue queue_;
  const std::string method_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream_;
};

std::string Bytes(const grpc::ByteBuffer& buffer);
grpc::ByteBuffer Buffer(const std::string& bytes);
// The first value of a key; empty without one.
std::string Value(const std::multimap<grpc::string_ref, grpc::string_ref>& metadata,
                  const std::string& key);

}  // namespace penstock::gateway
