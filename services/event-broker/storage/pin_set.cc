#include "services/event-broker/storage/pin_set.h"

#include <algorithm>

namespace penstock::broker {

class PinSet::Held final : public LogPin {
 public:
  Held(PinSet& set, std::uint64_t key, Entry& entry) : set_(set), key_(key), entry_(entry) {}
  ~Held() override {
    const std::lock_guard lock(set_.mutex_);
    set_.pins_.erase(key_);
  }
  void MoveTo(Sequence sequence) override {
    const std::lock_guard lock(set_.mutex_);
    entry_.sequence = std::max(entry_.sequence, sequence);
  }
  Sequence sequence() const override {
    const std::lock_guard lock(set_.mutex_);
    return entry_.sequence;
  }

 private:
  PinSet& set_;
  const std::uint64_t key_;
  Entry& entry_;  // In the set's map.
};

std::unique_ptr<LogPin> PinSet::Pin(Sequence sequence, const PinOwner& owner) {
  const std::lock_guard lock(mutex_);
  const std::uint64_t key = next_++;
  Entry& entry = pins_[key] = {owner, sequence};
  return std::make_unique<Held>(*this, key, entry);
}

void PinSet::RunHeld(
    const std::function<void(const std::map<std::uint64_t, Entry>& pins)>& work) const {
  const std::lock_guard lock(mutex_);
  work(pins_);
}

}  // namespace penstock::broker
