// The calls that a server takes without gRPC's library.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "libs/rpc/bidi_handlers.h"

namespace penstock::rpc {

template <typename In, typename Out>
class BidiServer;
class CallContext;
class ServerDone;
struct WireOpening;

// A stream between two ends in this process.
class DirectCall {
 public:
  // Ends it for both with UNAVAILABLE.
  virtual void Abort() = 0;

 protected:
  ~DirectCall() = default;
};

// By method, what answers a call without gRPC's library in between: a stream of an "inproc:"
// client, whose messages are handed over as they are, in the thread that sends them; and streams
// and unary calls of the network, where a ServerFront listens. In this process a stream with a
// deadline, and one whose client has other message types, takes the way through gRPC all the same,
// and so does a compressed one of the network: each method of this table is one of the server's
// services too. Fill it before the server starts. Thread-safe then.
class DirectMethods {
 public:
  // As BidiServer::Serve's.
  template <typename In, typename Out>
  using Accept =
      std::function<BidiServerHandlers<In, Out>(const std::shared_ptr<BidiServer<In, Out>>&)>;

  // As ServeUnary's; runs on an event loop.
  template <typename In, typename Out>
  using Unary = std::function<void(const In&, Out*, CallContext&, const ServerDone&)>;

  // The calls that run.
  class Calls {
   public:
    // False once Stop was called.
    bool Add(DirectCall* call, std::weak_ptr<void> alive);
    // After its server end's last function.
    void Remove(DirectCall* call);
    // Refuses further calls, waits for those that run until `deadline`, and ends the rest.
    void Stop(std::chrono::steady_clock::time_point deadline);

   private:
    std::mutex mutex_;
    std::condition_variable ended_;
    std::map<DirectCall*, std::weak_ptr<void>> running_;
    bool stopped_ = false;
  };

  // `method` is "/package.Service/Method".
  template <typename In, typename Out>
  void Add(std::string method, Accept<In, Out> accept) {
    methods_.emplace(std::move(method), std::make_shared<Typed<In, Out>>(std::move(accept)));
  }

  template <typename In, typename Out>
  void AddUnary(std::string method, Unary<In, Out> handler) {
    methods_.emplace(std::move(method), std::make_shared<TypedUnary<In, Out>>(std::move(handler)));
  }

  // What answers the stream `method` with these messages, or null.
  template <typename In, typename Out>
  const Accept<In, Out>* Find(const std::string& method) const {
    const auto found = methods_.find(method);
    if (found == methods_.end()) return nullptr;
    const auto* typed = dynamic_cast<const Typed<In, Out>*>(found->second.get());
    return typed == nullptr ? nullptr : &typed->accept;
  }

  // Whether some messages are taken for `method`, "/package.Service/Method".
  bool Has(std::string_view method) const { return methods_.find(method) != methods_.end(); }
  // Serves a call of serialized messages (wire_server.h) to a method of the table.
  void Serve(std::string_view method, WireOpening opening) const;

  const std::shared_ptr<Calls>& calls() const { return calls_; }

 private:
  struct Method {
    virtual ~Method() = default;
    virtual void Serve(WireOpening opening) const = 0;
  };
  template <typename In, typename Out>
  struct Typed final : Method {
    explicit Typed(Accept<In, Out> given) : accept(std::move(given)) {}
    void Serve(WireOpening opening) const override;
    const Accept<In, Out> accept;
  };
  template <typename In, typename Out>
  struct TypedUnary final : Method {
    explicit TypedUnary(Unary<In, Out> given) : handler(std::move(given)) {}
    void Serve(WireOpening opening) const override;
    const Unary<In, Out> handler;
  };

  std::map<std::string, std::shared_ptr<const Method>, std::less<>> methods_;
  const std::shared_ptr<Calls> calls_ = std::make_shared<Calls>();
};

}  // namespace penstock::rpc
