// What the tests of server and client share.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "libs/http/client.h"
#include "libs/http/event_loops.h"
#include "libs/http/server.h"
#include "tests/unit/libs/http/raw_socket.h"

namespace penstock::http {

// The end of one Client::Send, to be waited for.
class Outcome {
 public:
  Client::Done Capture() {
    return [state = state_](absl::StatusOr<ClientResponse> result) {
      const std::lock_guard lock(state->mutex);
      ++state->calls;
      state->result = std::move(result);
      state->wake.notify_all();
    };
  }

  // The result; INTERNAL when none came in time.
  absl::StatusOr<ClientResponse> Wait() {
    std::unique_lock lock(state_->mutex);
    state_->wake.wait_for(lock, kTestDeadline, [this] { return state_->calls > 0; });
    return state_->calls > 0 ? state_->result : absl::InternalError("done was never called");
  }

  int calls() {
    const std::lock_guard lock(state_->mutex);
    return state_->calls;
  }

 private:
  struct State {
    std::mutex mutex;
    std::condition_variable wake;
    int calls = 0;
    absl::StatusOr<ClientResponse> result = absl::InternalError("no result");
  };
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

// Two loops, and servers and clients on them, stopped in the right order.
class HttpFixture : public testing::Test {
 protected:
  ~HttpFixture() override {
    client_.reset();
    server_.reset();
  }

  // Starts `handler` with `options`; the port is in port().
  void Serve(Handler handler, ServerOptions options = {}) {
    auto server = Server::Start(loops_, std::move(options), std::move(handler));
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  // Answers each request with its method, target and body.
  void ServeEcho(ServerOptions options = {}) {
    Serve(
        [](Request request, std::shared_ptr<Exchange> exchange) {
          exchange->Respond(Response::Text(
              200, fmt::format("{} {} {}", request.method, request.target, request.body)));
        },
        std::move(options));
  }

  void MakeClient(ClientOptions options = {}) {
    auto client = Client::Create(loops_, std::move(options));
    ASSERT_TRUE(client.ok()) << client.status();
    client_ = *std::move(client);
  }

  absl::StatusOr<ClientResponse> Send(ClientRequest request) {
    Outcome outcome;
    client_->Send(std::move(request), outcome.Capture());
    return outcome.Wait();
  }

  RawSocket Connect(int receive_buffer = 0) {
    return RawSocket::Connect(server_->port(), receive_buffer);
  }

  std::string Url(std::string_view target = "/") const {
    return fmt::format("http://127.0.0.1:{}{}", server_->port(), target);
  }

  EventLoops loops_{{.threads = 2, .name = "test"}};
  std::unique_ptr<Server> server_;
  std::unique_ptr<Client> client_;
};

// Holds exchanges until the test answers them.
class HeldExchanges {
 public:
  Handler AsHandler() {
    return [this](Request request, std::shared_ptr<Exchange> exchange) {
      const std::lock_guard lock(mutex_);
      held_.emplace(request.target, std::move(exchange));
      ++total_;
    };
  }

  // The exchange for `target`, once its request arrived; null when it never does.
  std::shared_ptr<Exchange> Take(const std::string& target) {
    std::shared_ptr<Exchange> exchange;
    WaitFor([&] {
      const std::lock_guard lock(mutex_);
      const auto found = held_.find(target);
      if (found == held_.end()) return false;
      exchange = std::move(found->second);
      held_.erase(found);
      return true;
    });
    return exchange;
  }

  int total() {
    const std::lock_guard lock(mutex_);
    return total_;
  }

 private:
  std::mutex mutex_;
  std::multimap<std::string, std::shared_ptr<Exchange>> held_;
  int total_ = 0;
};

}  // namespace penstock::http
