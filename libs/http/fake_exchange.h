// An Exchange for the tests of handlers: it keeps what it is told.
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "libs/http/server.h"

namespace penstock::http {

// Thread-safe. Callbacks run inside the calls.
class FakeExchange final : public Exchange {
 public:
  void Respond(Response response) override {
    const std::lock_guard lock(mutex_);
    if (response_.has_value() || stream_status_ != 0) return;
    response_ = std::move(response);
  }
  void StartStream(int status, Headers headers) override {
    const std::lock_guard lock(mutex_);
    if (response_.has_value() || stream_status_ != 0) return;
    stream_status_ = status;
    stream_headers_ = std::move(headers);
  }
  void Write(std::string chunk, OnWritten on_written) override {
    absl::Status status;
    {
      const std::lock_guard lock(mutex_);
      if (stream_status_ == 0 || is_ended_ || is_gone_) {
        status = absl::UnavailableError("no stream is open");
      } else {
        chunks_.push_back(std::move(chunk));
      }
    }
    if (on_written) on_written(status);
  }
  void End() override {
    const std::lock_guard lock(mutex_);
    is_ended_ = true;
  }
  void OnClosed(absl::AnyInvocable<void()> callback) override {
    const std::lock_guard lock(mutex_);
    on_closed_ = std::move(callback);
  }
  bool IsClientGone() override {
    const std::lock_guard lock(mutex_);
    return is_gone_;
  }
  int loop() const override { return 0; }

  // The client goes away.
  void Disconnect() {
    absl::AnyInvocable<void()> callback;
    {
      const std::lock_guard lock(mutex_);
      is_gone_ = true;
      if (!response_.has_value() && !is_ended_) callback = std::exchange(on_closed_, nullptr);
    }
    if (callback) callback();
  }

  std::optional<Response> response() const {
    const std::lock_guard lock(mutex_);
    return response_;
  }
  // 0 until StartStream.
  int stream_status() const {
    const std::lock_guard lock(mutex_);
    return stream_status_;
  }
  Headers stream_headers() const {
    const std::lock_guard lock(mutex_);
    return stream_headers_;
  }
  std::vector<std::string> chunks() const {
    const std::lock_guard lock(mutex_);
    return chunks_;
  }
  bool is_ended() const {
    const std::lock_guard lock(mutex_);
    return is_ended_;
  }

 private:
  mutable std::mutex mutex_;
  std::optional<Response> response_;
  int stream_status_ = 0;
  Headers stream_headers_;
  std::vector<std::string> chunks_;
  bool is_ended_ = false;
  bool is_gone_ = false;
  absl::AnyInvocable<void()> on_closed_;
};

}  // namespace penstock::http
