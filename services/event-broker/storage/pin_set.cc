#include "services/event-broker/storage/pin_set.h"

#include <algorithm>

namespace penstock::broker {

class PinSet::Held final : public LogPin {
 public:
  Held(PinSet& set, std::uint64_t key) : set_(set), key_(key) {}
  ~Held() override {
    const std::lock_guard lock(set_.mutex_);
    set_.pins_.erase(key_);
  }
  void MoveTo(Sequence sequence) override {
    const std::lock_guard lock(set_.mutex_);
    Sequence& pinned = set_.pins_[key_];
    pinned = std::max(pinned, sequence);
  }
  Sequence sequence() const override {
    const std::lock_guard lock(set_.mutex_);
    return set_.pins_.at(key_);
  }

 private:
  PinSet& set_;
  const std::uint64_t key_;
};

std::unique_ptr<LogPin> PinSet::Pin(Sequence sequence) {
  const std::lock_guard lock(mutex_);
  const std::uint64_t key = next_++;
  pins_[key] = sequence;
  return std::make_unique<Held>(*this, key);
}

bool PinSet::RunUnlessPinnedBelow(Sequence limit, const std::function<void()>& remove) const {
  const std::lock_guard lock(mutex_);
  for (const auto& [key, sequence] : pins_) {
    if (sequence < limit) return false;
  }
  remove();
  return true;
}

}  // namespace penstock::broker
