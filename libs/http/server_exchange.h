// The server's Exchange. Internal to libs/http.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "libs/http/connection.h"

namespace penstock::http {

// Carries calls from any thread to the connection's loop; on that loop they take effect at once.
class ServerExchange final : public StreamExchange {
 public:
  ServerExchange(std::shared_ptr<Connection> connection, std::uint64_t id);
  ~ServerExchange() override;

  void Respond(Response response) override;
  void StartStream(int status, Headers headers) override;
  void Write(std::string chunk, OnWritten on_written) override;
  void End() override;
  void OnClosed(absl::AnyInvocable<void()> callback) override;
  bool IsClientGone() override;
  int loop() const override { return loop_; }

  void SetCallbacks(absl::AnyInvocable<void()> on_readable,
                    absl::AnyInvocable<void()> on_writable) override;
  Progress ReadPieces(Pieces& pieces) override;
  void Release() override;
  void StartPieces(StreamHead head) override;
  void StartTunnel(const Headers& headers) override;
  Progress WritePieces(const Pieces& pieces) override;
  void Abort() override;

 private:
  enum class State : int { kOpen, kStarting, kStreaming, kPieces, kDone };

  // Moves from `from` to `to`; false when another call was first.
  bool Move(State from, State to);
  // Runs `call(connection)` on the loop.
  template <typename Call>
  void OnLoop(Call call);

  const std::shared_ptr<Connection> connection_;
  const std::uint64_t id_;
  const int loop_;
  std::atomic<State> state_{State::kOpen};
  // Set before the state becomes kStreaming.
  std::shared_ptr<std::atomic<std::size_t>> waiting_bytes_;
};

}  // namespace penstock::http
