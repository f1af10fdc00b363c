#include "libs/http/server_exchange.h"

#include <utility>

namespace penstock::http {

ServerExchange::ServerExchange(std::shared_ptr<Connection> connection, std::uint64_t id)
    : connection_(std::move(connection)), id_(id), loop_(connection_->loop()) {}

ServerExchange::~ServerExchange() {
  switch (state_.exchange(State::kDone)) {
    case State::kOpen:
      OnLoop([id = id_](Connection& connection) { connection.AnswerDropped(id); });
      break;
    case State::kStreaming:
    case State::kPieces:
      // The client must be able to tell a broken stream from one that ended.
      OnLoop([id = id_](Connection& connection) { connection.AbortStream(id); });
      break;
    case State::kStarting:
    case State::kDone: break;
  }
}

bool ServerExchange::Move(State from, State to) { return state_.compare_exchange_strong(from, to); }

template <typename Call>
void ServerExchange::OnLoop(Call call) {
  EventLoops& loops = connection_->event_loops();
  if (loops.CurrentLoop() == loop_) {
    call(*connection_);
    return;
  }
  loops.Post(loop_,
             [connection = connection_, call = std::move(call)]() mutable { call(*connection); });
}

void ServerExchange::Respond(Response response) {
  if (!Move(State::kOpen, State::kDone)) return;
  OnLoop([id = id_, response = std::move(response)](Connection& connection) mutable {
    connection.Answer(id, std::move(response));
  });
}

void ServerExchange::StartStream(int status, Headers headers) {
  if (!Move(State::kOpen, State::kStarting)) return;
  waiting_bytes_ = std::make_shared<std::atomic<std::size_t>>(0);
  state_ = State::kStreaming;
  OnLoop([id = id_, status, headers = std::move(headers)](Connection& connection) {
    connection.StartStream(id, status, headers);
  });
}

void ServerExchange::Write(std::string chunk, OnWritten on_written) {
  absl::Status refusal;
  const std::size_t cost = chunk.size() + kStreamChunkCost;
  if (state_ != State::kStreaming) {
    refusal = absl::FailedPreconditionError("no stream is open");
  } else if (const std::size_t waiting = waiting_bytes_->fetch_add(cost);
             waiting > 0 && waiting + cost > connection_->limits().stream_bytes_max) {
    waiting_bytes_->fetch_sub(cost);
    refusal = absl::ResourceExhaustedError("the client reads too slowly; the chunk was dropped");
  }
  if (!refusal.ok()) {
    if (!on_written) return;
    connection_->event_loops().Post(
        loop_, [refusal = std::move(refusal), on_written = std::move(on_written)]() mutable {
          on_written(refusal);
        });
    return;
  }
  OnLoop([id = id_, chunk = std::move(chunk), on_written = std::move(on_written),
          waiting = waiting_bytes_](Connection& connection) mutable {
    connection.WriteChunk(id, chunk, std::move(on_written), std::move(waiting));
  });
}

void ServerExchange::End() {
  if (!Move(State::kStreaming, State::kDone)) return;
  OnLoop([id = id_](Connection& connection) { connection.EndStream(id); });
}

void ServerExchange::OnClosed(absl::AnyInvocable<void()> callback) {
  OnLoop([id = id_, callback = std::move(callback)](Connection& connection) mutable {
    connection.SetOnClosed(id, std::move(callback));
  });
}

void ServerExchange::SetCallbacks(absl::AnyInvocable<void()> on_readable,
                                  absl::AnyInvocable<void()> on_writable) {
  connection_->SetStreamCallbacks(id_, std::move(on_readable), std::move(on_writable));
}

Progress ServerExchange::ReadPieces(Pieces& pieces) { return connection_->ReadPieces(id_, pieces); }

void ServerExchange::Release() { connection_->ReleasePieces(id_); }

void ServerExchange::StartPieces(StreamHead head) {
  if (Move(State::kOpen, State::kPieces)) connection_->StartPieces(id_, head);
}

void ServerExchange::StartTunnel(const Headers& headers) {
  if (Move(State::kOpen, State::kPieces)) connection_->StartTunnel(id_, headers);
}

Progress ServerExchange::WritePieces(const Pieces& pieces) {
  return connection_->WritePieces(id_, pieces);
}

void ServerExchange::Abort() {
  state_ = State::kDone;
  connection_->Abort(id_);
}

bool ServerExchange::IsClientGone() { return connection_->IsPeerGone(); }

}  // namespace penstock::http
