#include "libs/h2/session.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <utility>
#include <vector>

namespace penstock::h2 {
namespace {

constexpr std::size_t kFrameHeadBytes = 9;
// A head this many times too long is an attack.
constexpr std::size_t kHeaderListExcess = 4;

std::string_view View(const std::uint8_t* bytes, std::size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

// nghttp2 copies the text when the frame is submitted, so a stream may go before its frames are
// sent.
const std::vector<nghttp2_nv>& PairsOf(const Fields& fields) {
  thread_local std::vector<nghttp2_nv> pairs;
  pairs.clear();
  const auto bytes = [](std::string_view text) {
    return reinterpret_cast<std::uint8_t*>(const_cast<char*>(text.data()));
  };
  for (const Fields::Field field : fields) {
    pairs.push_back({bytes(field.name), bytes(field.value), field.name.size(), field.value.size(),
                     NGHTTP2_NV_FLAG_NONE});
  }
  return pairs;
}

// Running out of memory is the only way in which these calls fail.
void Check(int result) {
  if (result == NGHTTP2_ERR_NOMEM) std::abort();
}

}  // namespace

// What nghttp2 calls.
struct Session::Callbacks {
  static Session& Of(void* user) { return *static_cast<Session*>(user); }

  static int BeginHeaders(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    return Of(user).OnBeginHeaders(*frame);
  }
  static int Header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name,
                    std::size_t name_size, const std::uint8_t* value, std::size_t value_size,
                    std::uint8_t, void* user) {
    return Of(user).OnHeader(*frame, View(name, name_size), View(value, value_size));
  }
  static int Frame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    return Of(user).OnFrame(*frame);
  }
  static int Data(nghttp2_session*, std::uint8_t, std::int32_t id, const std::uint8_t* data,
                  std::size_t size, void* user) {
    Of(user).OnData(id, View(data, size));
    return 0;
  }
  static int Close(nghttp2_session*, std::int32_t id, std::uint32_t code, void* user) {
    Session& session = Of(user);
    Stream* const stream = session.Find(id);
    if (stream == nullptr) return 0;
    if (code != NGHTTP2_NO_ERROR) session.OnPeersReset();
    session.CloseStream(stream, static_cast<ErrorCode>(code));
    return 0;
  }
  static int NotSent(nghttp2_session*, const nghttp2_frame* frame, int, void* user) {
    Of(user).OnFrameNotSent(*frame);
    return 0;
  }
  static int Sent(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    Of(user).OnFrameSent(*frame);
    return 0;
  }
  static ssize_t ReadSource(nghttp2_session*, std::int32_t id, std::uint8_t*, std::size_t size_max,
                            std::uint32_t* flags, nghttp2_data_source*, void* user) {
    return Of(user).OnReadSource(id, size_max, flags);
  }
  static int SendData(nghttp2_session*, nghttp2_frame* frame, const std::uint8_t* head,
                      std::size_t size, nghttp2_data_source*, void* user) {
    return Of(user).OnSendData(frame->hd.stream_id, head, size);
  }

  // One table for all sessions of the process, never freed.
  static const nghttp2_session_callbacks* Table() {
    static const nghttp2_session_callbacks* const table = [] {
      nghttp2_session_callbacks* callbacks = nullptr;
      Check(nghttp2_session_callbacks_new(&callbacks));
      nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, BeginHeaders);
      nghttp2_session_callbacks_set_on_header_callback(callbacks, Header);
      nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, Frame);
      nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, Data);
      nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, Close);
      nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, Sent);
      nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, NotSent);
      nghttp2_session_callbacks_set_send_data_callback(callbacks, SendData);
      return callbacks;
    }();
    return table;
  }
};

Session::Session(const SessionOptions& options, int loop, SessionOwner& owner)
    : options_(options),
      loop_(loop),
      owner_(owner),
      idle_frames_(options.idle_frames_burst, options.idle_frames_per_second),
      resets_(options.resets_burst, options.resets_per_second) {
  nghttp2_option* option = nullptr;
  Check(nghttp2_option_new(&option));
  nghttp2_option_set_no_auto_window_update(option, 1);
  nghttp2_option_set_no_closed_streams(option, 1);
  nghttp2_option_set_stream_reset_rate_limit(option, options.resets_burst,
                                             options.resets_per_second);
  if (options.is_server) {
    Check(nghttp2_session_server_new2(&session_, Callbacks::Table(), this, option));
  } else {
    Check(nghttp2_session_client_new2(&session_, Callbacks::Table(), this, option));
  }
  nghttp2_option_del(option);
  std::vector<nghttp2_settings_entry> settings = {
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, options.stream_window},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, static_cast<std::uint32_t>(options.header_list_max)},
  };
  if (options.is_server) {
    settings.push_back({NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, options.streams_max});
  } else {
    settings.push_back({NGHTTP2_SETTINGS_ENABLE_PUSH, 0});
  }
  Check(nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings.data(), settings.size()));
  Check(nghttp2_session_set_local_window_size(
      session_, NGHTTP2_FLAG_NONE, 0, static_cast<std::int32_t>(options.connection_window)));
}

Session::~Session() {
  CloseStreams(ErrorCode::kConnectionLost);
  nghttp2_session_del(session_);
}

bool Session::Feed(Block& block, std::size_t size) {
  block_ = &block;
  const ssize_t result =
      nghttp2_session_mem_recv(session_, reinterpret_cast<const std::uint8_t*>(block.data()), size);
  block_ = nullptr;
  if (nghttp2_session_want_write(session_) != 0) owner_.OnWantSend();
  if (result >= 0) return true;
  error_ = nghttp2_strerror(static_cast<int>(result));
  return false;
}

void Session::Gather(Output& output, std::size_t bytes_max) {
  output_ = &output;
  output_max_ = bytes_max;
  while (output.size() < bytes_max) {
    const std::uint8_t* bytes = nullptr;
    const ssize_t size = nghttp2_session_mem_send(session_, &bytes);
    if (size <= 0) break;
    output.Append(View(bytes, static_cast<std::size_t>(size)));
  }
  output_ = nullptr;
}

bool Session::IsDone() const {
  return nghttp2_session_want_read(session_) == 0 && nghttp2_session_want_write(session_) == 0;
}

Stream* Session::NewStream(StreamHandler* handler) const {
  auto* stream = new Stream(loop_);
  stream->handler_ = handler;
  return stream;
}

bool Session::Open(Stream* stream, const Fields& head, bool end) {
  nghttp2_data_provider provider{{}, Callbacks::ReadSource};
  const std::vector<nghttp2_nv>& pairs = PairsOf(head);
  const std::int32_t id = nghttp2_submit_request(session_, nullptr, pairs.data(), pairs.size(),
                                                 end ? nullptr : &provider, stream);
  Check(id);
  if (id < 0) return false;
  stream->id_ = id;
  stream->has_sent_head_ = true;
  stream->has_ended_ = end;
  Link(stream);
  owner_.OnWantSend();
  return true;
}

void Session::AnnounceGoaway() {
  is_going_away_ = true;
  Check(nghttp2_submit_shutdown_notice(session_));
  owner_.OnWantSend();
}

void Session::FinishGoaway() {
  is_going_away_ = true;
  Check(nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE,
                              nghttp2_session_get_last_proc_stream_id(session_), NGHTTP2_NO_ERROR,
                              nullptr, 0));
  owner_.OnWantSend();
}

void Session::Ping() {
  Check(nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr));
  owner_.OnWantSend();
}

void Session::CloseStreams(ErrorCode code) {
  is_closed_ = true;
  while (first_ != nullptr) CloseStream(first_, code);
}

std::size_t Session::frames_waiting() const {
  return nghttp2_session_get_outbound_queue_size(session_);
}

std::uint32_t Session::peer_streams_max() const {
  return nghttp2_session_get_remote_settings(session_, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
}

void Session::Link(Stream* stream) {
  stream->session_ = this;
  stream->previous_ = nullptr;
  stream->next_ = first_;
  if (first_ != nullptr) first_->previous_ = stream;
  first_ = stream;
  ++streams_;
}

void Session::Unlink(Stream* stream) {
  if (stream->previous_ != nullptr) {
    stream->previous_->next_ = stream->next_;
  } else {
    first_ = stream->next_;
  }
  if (stream->next_ != nullptr) stream->next_->previous_ = stream->previous_;
  --streams_;
  if (is_closed_) return;
  nghttp2_session_set_stream_user_data(session_, stream->id_, nullptr);
  DropUnconsumed(stream);
  owner_.OnStreamGone();
}

void Session::CloseStream(Stream* stream, ErrorCode code) {
  Unlink(stream);
  StreamHandler* const handler = stream->handler_;
  delete stream;
  if (handler != nullptr) handler->OnClosed(code);
}

// What nobody will take any more must not narrow the connection's window for good.
void Session::DropUnconsumed(Stream* stream) {
  if (options_.shares_window || stream->unconsumed_ == 0) return;
  nghttp2_session_consume_connection(session_, stream->unconsumed_);
  owner_.OnWantSend();
}

Stream* Session::Find(std::int32_t id) const {
  return static_cast<Stream*>(nghttp2_session_get_stream_user_data(session_, id));
}

int Session::OnBeginHeaders(const nghttp2_frame& frame) {
  if (frame.hd.type != NGHTTP2_HEADERS || frame.headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
  auto* stream = new Stream(loop_);
  stream->id_ = frame.hd.stream_id;
  Link(stream);
  nghttp2_session_set_stream_user_data(session_, stream->id_, stream);
  return 0;
}

int Session::OnHeader(const nghttp2_frame& frame, std::string_view name, std::string_view value) {
  Stream* const stream = Find(frame.hd.stream_id);
  if (stream == nullptr) return 0;
  // Nothing is kept of what is too long, but its size is counted on.
  const std::size_t size = stream->incoming_.list_size() + name.size() + value.size() + 32;
  if (size > kHeaderListExcess * options_.header_list_max) {
    error_ = "a head is far too long";
    return NGHTTP2_ERR_CALLBACK_FAILURE;
  }
  stream->is_head_too_large_ |= size > options_.header_list_max;
  if (stream->incoming_.empty()) stream->incoming_.Reserve(16, 512);
  stream->incoming_.Add(name, value);
  return 0;
}

int Session::OnFrame(const nghttp2_frame& frame) {
  switch (frame.hd.type) {
    case NGHTTP2_HEADERS: {
      idle_frames_.GiveBack();
      Stream* const stream = Find(frame.hd.stream_id);
      if (stream != nullptr) OnHeaders(stream, frame);
      return 0;
    }
    case NGHTTP2_DATA: {
      const bool end = (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
      if (!end && frame.hd.length == 0) OnIdleFrame();
      if (frame.hd.length > 0) idle_frames_.GiveBack();
      Stream* const stream = end ? Find(frame.hd.stream_id) : nullptr;
      if (stream == nullptr) return 0;
      stream->has_peer_ended_ = true;
      if (stream->handler_ != nullptr) stream->handler_->OnEnd({});
      return 0;
    }
    case NGHTTP2_PING:
      if ((frame.hd.flags & NGHTTP2_FLAG_ACK) != 0) {
        owner_.OnPingAck();
        return 0;
      }
      OnIdleFrame();
      return 0;
    case NGHTTP2_SETTINGS: has_peer_settings_ = true; [[fallthrough]];
    case NGHTTP2_PRIORITY: OnIdleFrame(); return 0;
    case NGHTTP2_GOAWAY:
      is_going_away_ = true;
      owner_.OnGoaway();
      return 0;
    default: return 0;
  }
}

void Session::OnHeaders(Stream* stream, const nghttp2_frame& frame) {
  const bool end = (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
  Fields fields = std::exchange(stream->incoming_, {});
  if (stream->is_head_too_large_) {
    if (frame.headers.cat == NGHTTP2_HCAT_REQUEST) {
      stream->has_peer_ended_ = end;
      Fields answer;
      answer.Add(":status", "431");
      return SubmitHead(*stream, answer, true);
    }
    SubmitReset(stream->id_, ErrorCode::kEnhanceYourCalm);
    return CloseStream(stream, ErrorCode::kEnhanceYourCalm);
  }
  stream->has_peer_ended_ = end;
  if (frame.headers.cat == NGHTTP2_HCAT_REQUEST) {
    owner_.OnRequest(*stream, std::move(fields), end);
    // Nobody wants it.
    const bool is_orphan = Find(frame.hd.stream_id) == stream && stream->handler_ == nullptr &&
                           !stream->has_sent_head_;
    if (is_orphan) Abandon(stream, ErrorCode::kRefusedStream);
    return;
  }
  if (stream->handler_ == nullptr) return;
  const bool is_head = !options_.is_server && fields.Has(":status");
  // Interim answers (1xx) say nothing to a proxy.
  if (is_head && fields.Get(":status").starts_with('1')) return;
  if (is_head) {
    stream->handler_->OnHead(std::move(fields), end);
  } else {
    stream->handler_->OnEnd(std::move(fields));
  }
}

void Session::OnData(std::int32_t id, std::string_view bytes) {
  Stream* const stream = Find(id);
  if (stream == nullptr || stream->handler_ == nullptr) {
    nghttp2_session_consume(session_, id, bytes.size());
    return;
  }
  if (options_.shares_window) nghttp2_session_consume_connection(session_, bytes.size());
  stream->unconsumed_ += bytes.size();
  stream->handler_->OnData(Chunk::Of(*block_, bytes));
}

void Session::OnIdleFrame() {
  if (idle_frames_.Take(std::chrono::steady_clock::now())) return;
  Check(nghttp2_session_terminate_session(session_, NGHTTP2_ENHANCE_YOUR_CALM));
}

// A stream ends in an error that the peer has made: by resetting it, which the library counts too,
// or by a frame for which we have to reset it.
void Session::OnPeersReset() {
  if (!options_.is_server || resets_.Take(std::chrono::steady_clock::now())) return;
  Check(nghttp2_session_terminate_session(session_, NGHTTP2_ENHANCE_YOUR_CALM));
}

// The library sends no head that is too long, and would leave the stream as it is.
void Session::OnFrameNotSent(const nghttp2_frame& frame) {
  if (frame.hd.type != NGHTTP2_HEADERS || frame.headers.cat == NGHTTP2_HCAT_REQUEST) return;
  Stream* const stream = Find(frame.hd.stream_id);
  if (stream == nullptr) return;
  SubmitReset(frame.hd.stream_id, ErrorCode::kInternalError);
}

void Session::OnFrameSent(const nghttp2_frame& frame) {
  if (!options_.is_server || (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) return;
  if (frame.hd.type != NGHTTP2_DATA && frame.hd.type != NGHTTP2_HEADERS) return;
  const Stream* const stream = Find(frame.hd.stream_id);
  if (stream == nullptr || stream->has_peer_ended_) return;
  // The client still sends what nobody wants any more.
  SubmitReset(frame.hd.stream_id, ErrorCode::kNoError);
}

ssize_t Session::OnReadSource(std::int32_t id, std::size_t size_max, std::uint32_t* flags) {
  Stream* const stream = Find(id);
  // It was reset; the frame that says so waits behind this one.
  if (stream == nullptr) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  const std::size_t size = std::min(size_max, stream->queued_);
  if (size == 0 && !stream->has_ended_) {
    stream->is_deferred_ = true;
    return NGHTTP2_ERR_DEFERRED;
  }
  *flags = NGHTTP2_DATA_FLAG_NO_COPY;
  if (stream->has_ended_ && size == stream->queued_) {
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (stream->trailers_) {
      *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
      const std::vector<nghttp2_nv>& pairs = PairsOf(*stream->trailers_);
      Check(nghttp2_submit_trailer(session_, id, pairs.data(), pairs.size()));
    }
  }
  return static_cast<ssize_t>(size);
}

int Session::OnSendData(std::int32_t id, const std::uint8_t* frame_head, std::size_t size) {
  if (output_->size() >= output_max_) return NGHTTP2_ERR_WOULDBLOCK;
  Stream* const stream = Find(id);
  if (stream == nullptr) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  output_->Append(View(frame_head, kFrameHeadBytes));
  std::size_t left = size;
  while (left > 0) {
    Chunk& front = stream->queue_.front();
    const std::size_t part = std::min(left, front.size());
    left -= part;
    if (part == front.size()) {
      output_->Append(std::move(front));
      stream->queue_.pop_front();
    } else {
      output_->Append(front.Prefix(part));
      front.RemovePrefix(part);
    }
  }
  stream->queued_ -= size;
  // Last, as the handler may reset the stream.
  if (size > 0 && stream->handler_ != nullptr) stream->handler_->OnSent(size);
  return 0;
}

void Session::SubmitHead(Stream& stream, const Fields& head, bool end) {
  if (is_closed_) return;
  stream.has_sent_head_ = true;
  stream.has_ended_ = end;
  nghttp2_data_provider provider{{}, Callbacks::ReadSource};
  const std::vector<nghttp2_nv>& pairs = PairsOf(head);
  Check(nghttp2_submit_response(session_, stream.id_, pairs.data(), pairs.size(),
                                end ? nullptr : &provider));
  owner_.OnWantSend();
}

void Session::Abandon(Stream* stream, ErrorCode code) {
  const std::int32_t id = stream->id_;
  Unlink(stream);
  delete stream;
  SubmitReset(id, code);
}

void Session::SubmitReset(std::int32_t id, ErrorCode code) {
  if (is_closed_) return;
  Check(
      nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, static_cast<std::uint32_t>(code)));
  owner_.OnWantSend();
}

void Session::Consume(Stream& stream, std::size_t bytes) {
  if (is_closed_) return;
  if (options_.shares_window) {
    nghttp2_session_consume_stream(session_, stream.id_, bytes);
  } else {
    nghttp2_session_consume(session_, stream.id_, bytes);
  }
  if (nghttp2_session_want_write(session_) != 0) owner_.OnWantSend();
}

void Session::Resume(Stream& stream) {
  if (!std::exchange(stream.is_deferred_, false) || is_closed_) return;
  Check(nghttp2_session_resume_data(session_, stream.id_));
  owner_.OnWantSend();
}

}  // namespace penstock::h2
