// Decides who writes next on a stream: one write in flight, filled with what has come together
// meanwhile.
#pragma once

#include <mutex>

namespace penstock::rpc {

// The write side of a stream. One thread at a time holds the turn to write; it passes from whoever
// kicks an idle pump to the completion of the write. No lock is held while the owner's functions
// run. Thread-safe.
class WritePump {
 public:
  // Starts shut: what is asked for before Open happens then.
  void Open();
  // Something to write may have come: fills and writes when the pump is idle, else after the write
  // in flight.
  void Kick();
  // Closes once everything that can be filled has been written.
  void CloseWhenDrained();
  // Closes without filling again, after the write in flight.
  void Break();
  // The write that FillAndStart began has ended.
  void WriteDone(bool ok);
  // True once Close was called or is certain to be next.
  bool closing() const;

 protected:
  ~WritePump() = default;

 private:
  // Fills the next message and starts its write; false when there is nothing to send.
  virtual bool FillAndStart() = 0;
  // Ends the write side. Called exactly once; nothing is filled or written afterwards.
  virtual void Close(bool broken) = 0;

  void TakeTurn(bool drained_close, bool broken);
  void Loop();

  mutable std::mutex mutex_;
  bool turn_taken_ = true;  // By nobody, until Open.
  bool kicked_ = false;
  bool close_when_drained_ = false;
  bool broken_ = false;
  bool closed_ = false;
};

}  // namespace penstock::rpc
