// An outgoing request whose body, and whose answer's body, travel in pieces.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "libs/http/message.h"
#include "libs/http/pieces.h"
#include "libs/http/url.h"

namespace penstock::http {

class ClientConnection;
class ClientPool;
struct ClientCall;

struct ClientStreamRequest {
  std::string method = "GET";
  // Path and query, percent-encoded.
  std::string target = "/";
  // Sent as they are, Host among them. Framing is the client's own; Connection and Upgrade may be
  // there only with `may_upgrade`.
  Headers headers;
  // How the body is framed: by its length, or in chunks. Neither: there is none.
  std::optional<std::uint64_t> content_length;
  bool is_chunked = false;
  // Whether 101 is an answer; what follows it either way is passed on as it is.
  bool may_upgrade = false;
  // When a pooled connection turns out to be closed before a byte of an answer, a request without a
  // body goes out once more if that does no harm.
  bool is_idempotent = false;
  // Name resolution, TCP and TLS; also how long it waits for a connection to become free.
  std::chrono::milliseconds connect_timeout{5'000};
  // From the last byte of the request to the head of the answer.
  std::chrono::milliseconds response_timeout{60'000};
  // Without a byte while the server is to send or to take one.
  std::chrono::milliseconds idle_timeout{300'000};
};

// The head of an answer.
struct ClientStreamHead {
  int status = 0;
  Headers headers;
  // As declared; answers to HEAD have one too.
  std::optional<std::uint64_t> content_length;
  // 101: pieces are raw bytes both ways, each way until its last.
  bool is_tunnel = false;
};

// All methods, and all events, are on the loop that Client::OpenStream was called on. Nothing is
// buffered: a piece is written from where it is, and the connection reads no more than what it was
// asked for.
class ClientStream : public std::enable_shared_from_this<ClientStream> {
 public:
  class Events {
   public:
    virtual ~Events() = default;
    // A connection is there and nothing was sent. Write sends the head, and what pieces there are;
    // it must be called, if with none. May come a second time (see is_idempotent).
    virtual void OnReady() = 0;
    // The head of the answer is there; the body can be read.
    virtual void OnHead(ClientStreamHead head) = 0;
    // Read said kPending: now it says more.
    virtual void OnReadable() = 0;
    // Write said kPending: now the pieces were written.
    virtual void OnWritable() = 0;
    // It is over, as Client::Send says it; nothing comes after it.
    virtual void OnFailed(const absl::Status& status) = 0;
  };

  ClientStream(std::shared_ptr<ClientPool> pool, const Url& url, std::string key,
               ClientStreamRequest request, std::shared_ptr<Events> events);
  ~ClientStream();
  ClientStream(const ClientStream&) = delete;
  ClientStream& operator=(const ClientStream&) = delete;

  // Looks for a connection. Once; events may come inside it.
  void Start();
  // One at a time. The bytes stay where they are until it is done. After the last pieces nothing is
  // written any more.
  Progress Write(const Pieces& pieces);
  // Replaces `pieces` by what was read. They stay valid until the next Read, Release or Cancel.
  Progress Read(Pieces& pieces);
  // After the last pieces were read, and are not needed any more: the connection is free for
  // others if the request was written to its end, else closed. Ends the stream.
  void Release();
  // Closes the connection. Ends the stream; no event follows.
  void Cancel();

  const ClientStreamRequest& request() const { return request_; }
  // The numeric address of the server, once a connection is there.
  const std::string& remote_address() const { return remote_address_; }

 private:
  friend class ClientConnection;

  // From the connection.
  void OnConnection(std::shared_ptr<ClientConnection> connection);
  void OnHead(ClientStreamHead head);

  const std::shared_ptr<ClientPool> pool_;
  ClientStreamRequest request_;
  // Null when the stream is over.
  std::shared_ptr<Events> events_;
  std::shared_ptr<ClientCall> call_;
  // Kept to the end: it has the bytes of pieces that are still being written elsewhere.
  std::shared_ptr<ClientConnection> connection_;
  std::string remote_address_;
};

}  // namespace penstock::http
