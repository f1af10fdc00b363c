#include "libs/http/request_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <optional>
#include <utility>

namespace penstock::http {
namespace {

namespace beast_http = boost::beast::http;
using boost::beast::error_code;
using BeastView = boost::beast::string_view;

// A declared length is believed up to here; more memory is taken only as bytes arrive.
constexpr std::size_t kBodyReserveMax = 256 * 1024;
// Longest line between two chunks, and longest trailer.
constexpr std::size_t kChunkLineMax = 8 * 1024;

std::string_view View(BeastView view) { return {view.data(), view.size()}; }

}  // namespace

// Beast's parser, writing straight into a Request.
class RequestReader::Parser final : public beast_http::basic_parser<true> {
 public:
  explicit Parser(const ServerOptions& options, const Request& peer) : request(peer) {
    header_limit(static_cast<std::uint32_t>(options.limits.header_bytes_max + 2));
    // The limit depends on the head and is enforced below.
    body_limit(boost::none);
  }

  Request request;
  std::size_t body_bytes_max = 0;

 private:
  void on_request_impl(beast_http::verb, BeastView method, BeastView target, int version,
                       error_code&) override {
    request.method = View(method);
    request.target = OriginForm(View(target));
    request.is_http_1_0 = version == 10;
  }
  void on_response_impl(int, BeastView, int, error_code&) override {}
  void on_field_impl(beast_http::field, BeastView name, BeastView value, error_code&) override {
    // Trailers come after the body; nobody may rely on them.
    if (!is_header_done()) request.headers.Add(View(name), View(value));
  }
  void on_header_impl(error_code&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>& content_length,
                         error_code&) override {
    if (!content_length.has_value()) return;
    request.body.reserve(std::min<std::uint64_t>(*content_length, kBodyReserveMax));
  }
  std::size_t on_body_impl(BeastView body, error_code& error) override {
    return Append(body, error);
  }
  void on_chunk_header_impl(std::uint64_t size, BeastView, error_code& error) override {
    if (size > body_bytes_max - request.body.size()) error = beast_http::error::body_limit;
  }
  std::size_t on_chunk_body_impl(std::uint64_t, BeastView body, error_code& error) override {
    return Append(body, error);
  }
  void on_finish_impl(error_code&) override {}

  std::size_t Append(BeastView body, error_code& error) {
    if (body.size() > body_bytes_max - request.body.size()) {
      error = beast_http::error::body_limit;
      return 0;
    }
    request.body.append(body.data(), body.size());
    return body.size();
  }
};

struct RequestReader::ParserBox {
  std::optional<Parser> parser;
};

RequestReader::RequestReader(const ServerOptions& options, Request peer)
    : options_(options),
      peer_(std::move(peer)),
      scanner_(options.limits),
      box_(std::make_unique<ParserBox>()) {}

RequestReader::~RequestReader() = default;

RequestReader::Phase RequestReader::phase() const {
  if (in_body_) return Phase::kBody;
  return input_.size() > 0 ? Phase::kHead : Phase::kIdle;
}

RequestReader::Event RequestReader::Next() { return in_body_ ? ParseBody() : ParseHead(); }

RequestReader::Event RequestReader::Refuse(Refusal refusal) {
  refusal_ = std::move(refusal);
  return Event::kRefused;
}

RequestReader::Event RequestReader::ParseHead() {
  if (!skipped_empty_line_ && input_.size() > 0 && input_.view().front() == '\r') {
    if (input_.size() == 1) return Event::kNeedMore;
    if (input_.view()[1] == '\n') input_.Consume(2);
    skipped_empty_line_ = true;
  }
  switch (scanner_.Scan(input_.view())) {
    case HeadScanner::State::kIncomplete: return Event::kNeedMore;
    case HeadScanner::State::kRefused: return Refuse(scanner_.refusal());
    case HeadScanner::State::kComplete: break;
  }
  Parser& parser = box_->parser.emplace(options_, peer_);
  error_code error;
  parser.put(boost::asio::buffer(input_.view().data(), scanner_.head_size()), error);
  if (error || !parser.is_header_done()) {
    return Refuse({400, fmt::format("header: {}", error.message())});
  }
  input_.Consume(scanner_.head_size());
  scanner_.Reset();
  skipped_empty_line_ = false;
  is_head_request_ = parser.request.method == "HEAD";
  is_http_1_0_ = parser.request.is_http_1_0;
  keep_alive_ = parser.keep_alive();
  if (parser.is_done()) return Event::kRequest;

  in_body_ = true;
  parser.body_bytes_max = options_.body_bytes_max_of ? options_.body_bytes_max_of(parser.request)
                                                     : options_.limits.body_bytes_max;
  if (parser.content_length().value_or(0) > parser.body_bytes_max) {
    return Refuse({413, fmt::format("body: longer than {} bytes", parser.body_bytes_max)});
  }
  parser.eager(true);
  const bool waits = !is_http_1_0_ && parser.request.headers.Has("expect");
  return waits && input_.size() == 0 ? Event::kContinue : ParseBody();
}

RequestReader::Event RequestReader::ParseBody() {
  Parser& parser = *box_->parser;
  // A single put can stop before the end of what it was given, at a chunk that is not complete.
  while (input_.size() > 0 && !parser.is_done()) {
    error_code error;
    const std::size_t used =
        parser.put(boost::asio::buffer(input_.view().data(), input_.size()), error);
    input_.Consume(used);
    if (error == beast_http::error::body_limit) {
      return Refuse({413, fmt::format("body: longer than {} bytes", parser.body_bytes_max)});
    }
    if (error && error != beast_http::error::need_more) {
      return Refuse({400, fmt::format("body: {}", error.message())});
    }
    if (error || used == 0) break;
  }
  if (parser.is_done()) {
    in_body_ = false;
    return Event::kRequest;
  }
  if (input_.size() > kChunkLineMax) {
    return Refuse({400, "body: a chunk line or the trailer is too long"});
  }
  return Event::kNeedMore;
}

Request RequestReader::TakeRequest() { return std::move(box_->parser->request); }

}  // namespace penstock::http
