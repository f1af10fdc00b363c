#include "libs/h2/stream.h"

#include <algorithm>
#include <utility>

#include "libs/h2/session.h"

namespace penstock::h2 {

void Stream::SendHead(Fields head, bool end) {
  if (has_sent_head_) return;
  session_->SubmitHead(*this, head, end);
}

void Stream::Write(Chunk data) {
  if (has_ended_ || data.size() == 0) return;
  queued_ += data.size();
  queue_.push_back(std::move(data));
  if (session_ != nullptr) session_->Resume(*this);
}

void Stream::End() { Finish(); }

void Stream::End(Fields trailers) {
  if (has_ended_) return;
  if (!trailers.empty()) trailers_ = std::move(trailers);
  Finish();
}

void Stream::Finish() {
  if (std::exchange(has_ended_, true)) return;
  if (session_ != nullptr) session_->Resume(*this);
}

void Stream::Reset(ErrorCode code) {
  if (session_ != nullptr) return session_->Abandon(this, code);
  waiting_room_->Forget(*this);
  delete this;
}

void Stream::Consume(std::size_t bytes) {
  bytes = std::min(bytes, unconsumed_);
  unconsumed_ -= bytes;
  if (bytes > 0) session_->Consume(*this, bytes);
}

std::string Stream::peer() const { return session_ == nullptr ? std::string() : session_->peer(); }

}  // namespace penstock::h2
