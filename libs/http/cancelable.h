// A handle on something started that can be called off.
#pragma once

namespace penstock::http {

// Dropping the handle cancels nothing. Implementations are thread-safe.
class Cancelable {
 public:
  virtual ~Cancelable() = default;
  // Calls the operation off if it has not finished; further calls do nothing.
  virtual void Cancel() = 0;
};

}  // namespace penstock::http
