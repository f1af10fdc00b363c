// A server's end of a bidirectional stream of a client in this process.
#pragma once

#include <memory>
#include <utility>

#include "libs/rpc/direct_link.h"
#include "libs/rpc/stream_ends.h"

namespace penstock::rpc {

template <typename In, typename Out>
class DirectServer final : public ServerCarrier<Out> {
 public:
  explicit DirectServer(std::shared_ptr<DirectLink<In, Out>> link) : link_(std::move(link)) {}

  void Start() override {}
  void Write(Out& message) override { link_->WriteDown(message); }
  void Finish(const absl::Status& status, CallContext& context) override {
    link_->Finish(status, context.TakeTrailing());
  }

 private:
  const std::shared_ptr<DirectLink<In, Out>> link_;
};

}  // namespace penstock::rpc
