// A TCP socket with or without TLS on it. Only for .cc files that use Asio.
#pragma once

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <cstddef>
#include <optional>
#include <utility>

namespace penstock::http {

// Used on its loop only.
class Transport {
 public:
  using Socket = boost::asio::ip::tcp::socket;
  using TlsStream = boost::asio::ssl::stream<Socket&>;

  explicit Transport(Socket socket) : socket_(std::move(socket)) {}

  void UseTls(boost::asio::ssl::context& context) { tls_.emplace(socket_, context); }
  bool is_tls() const { return tls_.has_value(); }
  Socket& socket() { return socket_; }
  TlsStream& tls() { return *tls_; }

  template <typename OnDone>
  void AsyncReadSome(boost::asio::mutable_buffer buffer, OnDone on_done) {
    if (tls_.has_value()) {
      tls_->async_read_some(buffer, std::move(on_done));
    } else {
      socket_.async_read_some(buffer, std::move(on_done));
    }
  }

  template <typename Buffers, typename OnDone>
  void AsyncWriteSome(const Buffers& buffers, OnDone on_done) {
    if (tls_.has_value()) {
      tls_->async_write_some(buffers, std::move(on_done));
    } else {
      socket_.async_write_some(buffers, std::move(on_done));
    }
  }

  // Writes what the kernel takes at once; TLS takes nothing this way.
  template <typename Buffers>
  std::size_t TryWrite(const Buffers& buffers, boost::system::error_code& error) {
    if (tls_.has_value()) {
      error = boost::asio::error::would_block;
      return 0;
    }
    return socket_.write_some(buffers, error);
  }

  // Aborts what is pending; its handlers run with operation_aborted.
  void Close() {
    boost::system::error_code ignored;
    socket_.close(ignored);
  }

 private:
  Socket socket_;
  std::optional<TlsStream> tls_;
};

}  // namespace penstock::http
