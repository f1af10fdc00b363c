#include "tests/unit/libs/h2/pipe.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace penstock::h2 {

void Recorder::OnHead(Fields fields, bool end) {
  head = std::move(fields);
  has_head = true;
  has_ended = end;
}

void Recorder::OnData(Chunk data) {
  body.append(data.view());
  if (consumes) stream->Consume(data.size());
}

void Recorder::OnEnd(Fields fields) {
  trailers = std::move(fields);
  has_ended = true;
}

SessionOptions End::With(SessionOptions options, bool is_server) {
  options.is_server = is_server;
  return options;
}

End::End(bool is_server, SessionOptions options) : session(With(options, is_server), 0, *this) {}

Recorder& End::Open(Fields head, bool end) {
  recorders.push_back(std::make_unique<Recorder>());
  Recorder& recorder = *recorders.back();
  recorder.stream = session.NewStream(&recorder);
  recorder.consumes = consumes;
  session.Open(recorder.stream, head, end);
  return recorder;
}

bool End::Feed(std::string_view bytes, std::size_t piece) {
  while (!bytes.empty()) {
    const std::string_view part = bytes.substr(0, piece);
    Block* const block = Block::New(part.size());
    std::memcpy(block->data(), part.data(), part.size());
    const bool ok = session.Feed(*block, part.size());
    block->Unref();
    if (!ok) return false;
    bytes.remove_prefix(part.size());
  }
  return true;
}

std::string End::Take(std::size_t bytes_max) {
  Output output;
  session.Gather(output, bytes_max);
  std::string bytes;
  for (const std::string_view piece : output.Pieces(1 << 20)) bytes.append(piece);
  output.Drop(output.size());
  return bytes;
}

void End::OnRequest(Stream& stream, Fields head, bool end) {
  recorders.push_back(std::make_unique<Recorder>());
  Recorder& recorder = *recorders.back();
  recorder.stream = &stream;
  recorder.consumes = consumes;
  stream.SetHandler(&recorder);
  recorder.OnHead(std::move(head), end);
}

bool Pump(End& a, End& b) {
  while (true) {
    const std::string to_b = a.Take();
    const std::string to_a = b.Take();
    if (to_a.empty() && to_b.empty()) return true;
    if (!b.Feed(to_b) || !a.Feed(to_a)) return false;
  }
}

Fields RequestHead(std::string_view path) {
  Fields head;
  head.Add(":method", "POST");
  head.Add(":scheme", "http");
  head.Add(":path", path);
  head.Add(":authority", "a");
  return head;
}

Fields AnswerHead(std::string_view status) {
  Fields head;
  head.Add(":status", status);
  return head;
}

}  // namespace penstock::h2
