#include "libs/rpc/write_pump.h"

namespace penstock::rpc {

void WritePump::Open() { Loop(); }
void WritePump::Kick() { TakeTurn(/*drained_close=*/false, /*broken=*/false); }
void WritePump::CloseWhenDrained() { TakeTurn(/*drained_close=*/true, /*broken=*/false); }
void WritePump::Break() { TakeTurn(/*drained_close=*/false, /*broken=*/true); }

void WritePump::TakeTurn(bool drained_close, bool broken) {
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return;
    kicked_ = true;
    close_when_drained_ |= drained_close;
    broken_ |= broken;
    if (turn_taken_) return;  // Whoever has the turn sees the flags before giving it up.
    turn_taken_ = true;
  }
  Loop();
}

void WritePump::WriteDone(bool ok) {
  if (!ok) {
    const std::lock_guard lock(mutex_);
    broken_ = true;
  }
  Loop();
}

bool WritePump::closing() const {
  const std::lock_guard lock(mutex_);
  return closed_ || broken_;
}

// Runs in the thread that has the turn.
void WritePump::Loop() {
  while (true) {
    bool broken = false;
    {
      const std::lock_guard lock(mutex_);
      kicked_ = false;
      broken = broken_;
    }
    if (!broken && FillAndStart()) return;  // The turn goes to WriteDone.
    {
      const std::lock_guard lock(mutex_);
      if (kicked_ && !broken_) continue;
      broken = broken_;
      if (!broken_ && !close_when_drained_) {
        turn_taken_ = false;
        return;
      }
      closed_ = true;
    }
    Close(broken);
    return;
  }
}

}  // namespace penstock::rpc
