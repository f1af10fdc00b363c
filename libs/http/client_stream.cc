#include "libs/http/client_stream.h"

#include <utility>

#include "libs/http/client_connection.h"
#include "libs/http/client_pool.h"
#include "libs/http/event_loops_asio.h"

namespace penstock::http {

ClientStream::ClientStream(std::shared_ptr<ClientPool> pool, const Url& url, std::string key,
                           ClientStreamRequest request, std::shared_ptr<Events> events)
    : pool_(std::move(pool)), request_(std::move(request)), events_(std::move(events)) {
  ClientRequest for_pool;
  for_pool.timeout = request_.connect_timeout;
  for_pool.connect_timeout = request_.connect_timeout;
  for_pool.idempotent =
      request_.is_idempotent && !request_.content_length.has_value() && !request_.is_chunked;
  call_ = std::make_shared<ClientCall>(std::move(for_pool), url, std::move(key), nullptr);
}

ClientStream::~ClientStream() = default;

void ClientStream::Start() {
  call_->stream = shared_from_this();
  call_->done = [self = shared_from_this()](const absl::StatusOr<ClientResponse>& result) {
    if (const auto events = std::exchange(self->events_, nullptr)) {
      events->OnFailed(result.status());
    }
  };
  pool_->Start(call_);
}

void ClientStream::OnConnection(std::shared_ptr<ClientConnection> connection) {
  connection_ = std::move(connection);
  remote_address_ = connection_->remote_address();
  // Whoever listens may end the stream, and nothing else may hold it then.
  const auto events = events_;
  events->OnReady();
}

void ClientStream::OnHead(ClientStreamHead head) {
  const auto events = events_;
  events->OnHead(std::move(head));
}

Progress ClientStream::Write(const Pieces& pieces) {
  return events_ == nullptr ? Progress::kFailed : connection_->WritePieces(pieces);
}

Progress ClientStream::Read(Pieces& pieces) {
  return events_ == nullptr ? Progress::kFailed : connection_->ReadPieces(pieces);
}

void ClientStream::Release() {
  if (events_ == nullptr) return;
  // Whoever listens may hold this stream.
  const auto events = std::exchange(events_, nullptr);
  connection_->FinishStream();
}

void ClientStream::Cancel() {
  if (events_ == nullptr) return;
  const auto events = std::exchange(events_, nullptr);
  pool_->Cancel(call_);
}

}  // namespace penstock::http
