#include "libs/http/response_reader.h"

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

constexpr std::uint32_t kHeaderBytesMax = 64 * 1024;
constexpr std::size_t kHeaderFieldsMax = 500;
constexpr int kInterimResponsesMax = 8;
constexpr std::size_t kBodyReserveMax = 256 * 1024;

std::string_view View(BeastView view) { return {view.data(), view.size()}; }

}  // namespace

// Beast's parser, writing straight into a ClientResponse.
class ResponseReader::Parser final : public beast_http::basic_parser<false> {
 public:
  Parser(bool is_head_request, std::size_t body_bytes_max) : body_bytes_max_(body_bytes_max) {
    header_limit(kHeaderBytesMax);
    body_limit(boost::none);
    skip(is_head_request);
    eager(true);
  }

  ClientResponse response;

 private:
  void on_request_impl(beast_http::verb, BeastView, BeastView, int, error_code&) override {}
  void on_response_impl(int status, BeastView, int, error_code&) override {
    response.status = status;
  }
  void on_field_impl(beast_http::field, BeastView name, BeastView value,
                     error_code& error) override {
    if (is_header_done()) return;
    if (response.headers.size() >= kHeaderFieldsMax) error = beast_http::error::header_limit;
    response.headers.Add(View(name), View(value));
  }
  void on_header_impl(error_code& error) override {
    if (is_done()) return;
    if (content_length().value_or(0) > body_bytes_max_) error = beast_http::error::body_limit;
  }
  void on_body_init_impl(const boost::optional<std::uint64_t>& content_length,
                         error_code&) override {
    if (!content_length.has_value()) return;
    response.body.reserve(std::min<std::uint64_t>(*content_length, kBodyReserveMax));
  }
  std::size_t on_body_impl(BeastView body, error_code& error) override {
    return Append(body, error);
  }
  void on_chunk_header_impl(std::uint64_t, BeastView, error_code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, BeastView body, error_code& error) override {
    return Append(body, error);
  }
  void on_finish_impl(error_code&) override {}

  std::size_t Append(BeastView body, error_code& error) {
    if (body.size() > body_bytes_max_ - response.body.size()) {
      error = beast_http::error::body_limit;
      return 0;
    }
    response.body.append(body.data(), body.size());
    return body.size();
  }

  const std::size_t body_bytes_max_;
};

struct ResponseReader::ParserBox {
  std::optional<Parser> parser;
};

ResponseReader::ResponseReader() : box_(std::make_unique<ParserBox>()) {}
ResponseReader::~ResponseReader() = default;

void ResponseReader::Reset(bool is_head_request, std::size_t body_bytes_max) {
  is_head_request_ = is_head_request;
  body_bytes_max_ = body_bytes_max;
  interim_responses_ = 0;
  box_->parser.emplace(is_head_request, body_bytes_max);
}

ResponseReader::Event ResponseReader::Malformed(std::string error) {
  error_ = std::move(error);
  return Event::kMalformed;
}

ResponseReader::Event ResponseReader::Next() {
  while (input_.size() > 0) {
    error_code error;
    Parser& parser = *box_->parser;
    const std::size_t used =
        parser.put(boost::asio::buffer(input_.view().data(), input_.size()), error);
    input_.Consume(used);
    if (error == beast_http::error::body_limit) return Event::kTooLarge;
    if (error && error != beast_http::error::need_more) return Malformed(error.message());
    if (parser.is_done()) {
      const Event event = Finish();
      if (event != Event::kNeedMore) return event;
      continue;
    }
    if (input_.size() > kHeaderBytesMax) return Malformed("a chunk line is too long");
    if (error || used == 0) break;
  }
  return Event::kNeedMore;
}

ResponseReader::Event ResponseReader::Finish() {
  const Parser& parser = *box_->parser;
  const int status = parser.response.status;
  if (status == 101) return Malformed("the server switched protocols unasked");
  if (status >= 100 && status < 200) {
    if (++interim_responses_ > kInterimResponsesMax) return Malformed("too many 1xx responses");
    box_->parser.emplace(is_head_request_, body_bytes_max_);
    return Event::kNeedMore;
  }
  keep_alive_ = parser.keep_alive();
  return Event::kResponse;
}

ResponseReader::Event ResponseReader::OnEnd() {
  Parser& parser = *box_->parser;
  if (!parser.is_header_done()) return Malformed("the connection closed before the response's end");
  error_code error;
  parser.put_eof(error);
  if (error) return Malformed("the connection closed before the response's end");
  keep_alive_ = false;
  return Event::kResponse;
}

ClientResponse ResponseReader::TakeResponse() { return std::move(box_->parser->response); }

}  // namespace penstock::http
