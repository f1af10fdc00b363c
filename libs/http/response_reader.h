// Turns the bytes of a client's connection into responses. Knows no socket.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "libs/http/client.h"
#include "libs/http/input_buffer.h"

namespace penstock::http {

// Reads one response after the other. Not thread-safe.
class ResponseReader {
 public:
  enum class Event {
    kNeedMore,
    kResponse,   // A whole response: TakeResponse.
    kTooLarge,   // The body is longer than allowed; nothing more can be read.
    kMalformed,  // error() says why; nothing more can be read.
  };

  ResponseReader();
  ~ResponseReader();

  // Starts over. A response to a HEAD request has no body whatever its head says.
  void Reset(bool is_head_request, std::size_t body_bytes_max);

  InputBuffer& input() { return input_; }
  // Parses what is in input(). Interim (1xx) responses are skipped.
  Event Next();
  // The server closed its side: the end of a body without declared length, else an error.
  Event OnEnd();

  // After kResponse, once; remote_address is left empty.
  ClientResponse TakeResponse();
  // After kResponse: whether the connection can serve another request.
  bool keep_alive() const { return keep_alive_; }
  const std::string& error() const { return error_; }

 private:
  class Parser;
  struct ParserBox;

  Event Finish();
  Event Malformed(std::string error);

  InputBuffer input_;
  std::unique_ptr<ParserBox> box_;
  bool is_head_request_ = false;
  std::size_t body_bytes_max_ = 0;
  int interim_responses_ = 0;
  bool keep_alive_ = false;
  std::string error_;
};

}  // namespace penstock::http
