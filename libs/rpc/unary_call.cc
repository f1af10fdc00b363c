#include "libs/rpc/unary_call.h"

namespace penstock::rpc {

void CancelLink::Connect(std::shared_ptr<Cancellation> cancellation,
                         const std::shared_ptr<void>& owner, std::function<void()> cancel) {
  if (!cancellation) return;
  cancellation_ = std::move(cancellation);
  id_ = cancellation_->Subscribe([alive = std::weak_ptr<void>(owner), cancel = std::move(cancel)] {
    if (const std::shared_ptr<void> held = alive.lock()) cancel();
  });
}

CancelLink::~CancelLink() {
  if (cancellation_) cancellation_->Unsubscribe(id_);
}

}  // namespace penstock::rpc
