// What carries a bidirectional stream, and what it tells the two ends.
#pragma once

#include "absl/status/status.h"
#include "libs/rpc/call_context.h"
#include "libs/rpc/call_options.h"

namespace penstock::rpc {

// The way of a call as its client sees it.
template <typename Out>
class ClientCarrier {
 public:
  virtual ~ClientCarrier() = default;
  // Begins the call. Before anything else, once Cancel can reach the carrier.
  virtual void Start() = 0;
  // Sends a message, which stays as it is until OnWritten; one at a time.
  virtual void Write(Out& message) = 0;
  // True when the carrier will call OnNotified itself, soon and in a thread of its own: what comes
  // meanwhile goes out together then. False: the caller asks the end for its messages.
  virtual bool PassNotify() { return false; }
  // Nothing more is written; not `broken`: the other end is told so.
  virtual void CloseWrites(bool broken) = 0;
  // Ends the call with CANCELLED. At any time, from any thread.
  virtual void Cancel() = 0;
};

// What a carrier tells the client. Messages and the end of reads come one after the other.
template <typename In>
class ClientEnd {
 public:
  virtual void OnMessage(In& message) = 0;
  // No message comes any more.
  virtual void OnReadsEnded() = 0;
  virtual void OnWritten(bool ok) = 0;
  // After PassNotify; perhaps once for many.
  virtual void OnNotified() = 0;
  // Last, after CloseWrites.
  virtual void OnEnd(const absl::Status& status, const ResponseMetadata& metadata) = 0;

 protected:
  ~ClientEnd() = default;
};

// The way of a call as its server sees it.
template <typename Out>
class ServerCarrier {
 public:
  virtual ~ServerCarrier() = default;
  // Begins to read.
  virtual void Start() = 0;
  // As ClientCarrier::Write and PassNotify.
  virtual void Write(Out& message) = 0;
  virtual bool PassNotify() { return false; }
  // Ends the call, with the trailing metadata of `context`. After the last write.
  virtual void Finish(const absl::Status& status, CallContext& context) = 0;
};

// What a carrier tells the server.
template <typename In>
class ServerEnd {
 public:
  // False when no further message is wanted.
  virtual bool OnMessage(In& message) = 0;
  // The client sends no more, or is gone.
  virtual void OnReadsEnded() = 0;
  virtual void OnWritten(bool ok) = 0;
  virtual void OnNotified() = 0;
  // The client is gone.
  virtual void OnCancelled() = 0;
  // Last, after Finish.
  virtual void OnEnd() = 0;

 protected:
  ~ServerEnd() = default;
};

}  // namespace penstock::rpc
