// Takes events over HTTP and answers with their receipts.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "services/gateway/api/event_input.h"
#include "services/gateway/api/http_call.h"
#include "services/gateway/ports/event_publisher.h"

namespace penstock::gateway {

// Thread-safe; each call is handled on its own loop. `publisher` must outlive it.
class PublishApi {
 public:
  PublishApi(EventPublisher& publisher, const EventInputLimits& limits);

  // POST /events: an event or a batch in any mode. `space` is the path's; empty: the header's.
  void Publish(const std::shared_ptr<HttpCall>& call, std::string_view space);
  // An event whose type is in the header `Event`.
  void Emit(const std::shared_ptr<HttpCall>& call);

  const EventInputLimits& limits() const { return limits_; }

 private:
  void Take(const std::shared_ptr<HttpCall>& call, const std::string& space, EventInput input);
  void TakeOne(const std::shared_ptr<HttpCall>& call, const std::string& space, InputEvent event);
  void TakeBatch(const std::shared_ptr<HttpCall>& call, const std::string& space, EventInput input);

  EventPublisher& publisher_;
  const EventInputLimits limits_;
};

}  // namespace penstock::gateway
