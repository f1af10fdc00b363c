// A bidirectional stream between two ends in one process: what one writes is handed to the other.
#pragma once

#include <google/protobuf/message_lite.h>
#include <grpcpp/support/byte_buffer.h>

#include <memory>
#include <mutex>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "libs/rpc/direct_methods.h"
#include "libs/rpc/metadata.h"
#include "libs/rpc/steps.h"
#include "libs/rpc/stream_ends.h"

namespace penstock::rpc {

// Calls an end's functions in the thread that caused them, as steps (steps.h): a message is taken
// before the write of it is done, and nothing waits in between. Thread-safe.
template <typename Up, typename Down>
class DirectLink final : public DirectCall,
                         public std::enable_shared_from_this<DirectLink<Up, Down>> {
 public:
  explicit DirectLink(std::shared_ptr<DirectMethods::Calls> calls) : calls_(std::move(calls)) {}

  // Before anything else but Abort.
  void Connect(std::shared_ptr<ClientEnd<Down>> client, std::shared_ptr<ServerEnd<Up>> server) {
    const std::lock_guard lock(mutex_);
    client_ = std::move(client);
    server_ = std::move(server);
  }
  // The server has taken the call, or refused it.
  void Opened() {
    {
      const std::lock_guard lock(mutex_);
      opened_ = true;
      if (given_up_.ok()) return;
    }
    Steps::Run([self = this->shared_from_this()] { self->TellCancelled(); });
  }

  // For the client. `message` stays until OnWritten.
  void WriteUp(Up& message) {
    Steps::Run([self = this->shared_from_this(), &message] {
      const auto client = self->client();
      const bool delivered = self->TellServer([&](ServerEnd<Up>& end) { end.OnMessage(message); });
      client->OnWritten(delivered);
      self->Settle();
    });
  }
  void CloseClient(bool broken) {
    Steps::Run([self = this->shared_from_this(), broken] {
      bool tell = false;
      {
        const std::lock_guard lock(self->mutex_);
        self->client_closed_ = true;
        tell = !broken && !std::exchange(self->server_reads_ended_, true);
      }
      if (tell) self->TellServer([](ServerEnd<Up>& end) { end.OnReadsEnded(); });
      self->Settle();
    });
  }
  void Cancel() { Give(absl::CancelledError("the call was cancelled")); }

  // For the server. `message` stays until OnWritten.
  void WriteDown(Down& message) {
    Steps::Run([self = this->shared_from_this(), &message] {
      std::shared_ptr<ClientEnd<Down>> client;
      std::shared_ptr<ServerEnd<Up>> server;
      {
        const std::lock_guard lock(self->mutex_);
        server = self->server_;
        if (self->given_up_.ok()) client = self->client_;
        if (client) ++self->telling_client_;
      }
      if (client) {
        client->OnMessage(message);
        const std::lock_guard lock(self->mutex_);
        --self->telling_client_;
      }
      server->OnWritten(client != nullptr);
      self->Settle();
    });
  }
  void Finish(const absl::Status& status, MetadataList trailing) {
    {
      const std::lock_guard lock(mutex_);
      finished_ = true;
      status_ = given_up_.ok() ? status : given_up_;
      trailing_ = std::move(trailing);
    }
    Steps::Run([self = this->shared_from_this()] {
      if (const auto client = self->client()) client->OnReadsEnded();
      self->Settle();
    });
  }

  // For the server's stop.
  void Abort() override { Give(absl::UnavailableError("the server is stopping")); }

 private:
  std::shared_ptr<ClientEnd<Down>> client() const {
    const std::lock_guard lock(mutex_);
    return client_;
  }

  // Runs `tell` unless the call is over for the server.
  template <typename Tell>
  bool TellServer(const Tell& tell) {
    std::shared_ptr<ServerEnd<Up>> server;
    {
      const std::lock_guard lock(mutex_);
      if (finished_ || !given_up_.ok()) return false;
      server = server_;
      ++telling_server_;
    }
    tell(*server);
    const std::lock_guard lock(mutex_);
    --telling_server_;
    return true;
  }

  // Ends the call with `status`, whatever the server says.
  void Give(absl::Status status) {
    Steps::Run([self = this->shared_from_this(), status = std::move(status)] {
      {
        const std::lock_guard lock(self->mutex_);
        if (self->finished_ || !self->given_up_.ok()) return;
        self->given_up_ = status;
        if (!self->opened_) return;
      }
      self->TellCancelled();
    });
  }

  void TellCancelled() {
    std::shared_ptr<ServerEnd<Up>> server;
    bool reads_end = false;
    {
      const std::lock_guard lock(mutex_);
      if (finished_) return;
      server = server_;
      ++telling_server_;
      reads_end = !std::exchange(server_reads_ended_, true);
    }
    server->OnCancelled();
    if (reads_end) server->OnReadsEnded();
    {
      const std::lock_guard lock(mutex_);
      --telling_server_;
    }
    Settle();
  }

  // Tells the ends that are over, each once.
  void Settle() {
    std::shared_ptr<ServerEnd<Up>> server;
    std::shared_ptr<ClientEnd<Down>> client;
    {
      const std::lock_guard lock(mutex_);
      if (!finished_) return;
      if (telling_server_ == 0) server = std::exchange(server_, nullptr);
      if (telling_client_ == 0 && client_closed_) client = std::exchange(client_, nullptr);
    }
    if (server) {
      server->OnEnd();
      calls_->Remove(this);
    }
    if (client) client->OnEnd(status_, ResponseMetadata(trailing_));
  }

  const std::shared_ptr<DirectMethods::Calls> calls_;
  mutable std::mutex mutex_;
  std::shared_ptr<ClientEnd<Down>> client_;
  std::shared_ptr<ServerEnd<Up>> server_;
  int telling_client_ = 0;
  int telling_server_ = 0;
  bool opened_ = false;
  bool client_closed_ = false;
  bool server_reads_ended_ = false;
  bool finished_ = false;
  absl::Status given_up_;  // Why the call ended early.
  // Not changed once the call is finished.
  absl::Status status_;
  MetadataList trailing_;
};

}  // namespace penstock::rpc
