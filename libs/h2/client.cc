#include "libs/h2/client.h"

#include <utility>

#include "libs/base/callback_guard.h"
#include "libs/base/status.h"
#include "libs/h2/client_pool.h"
#include "libs/http/tls_context_asio.h"

namespace penstock::h2 {

struct Client::Parts {
  std::shared_ptr<ClientContext> context;
  std::vector<std::shared_ptr<ClientPool>> pools;
};

absl::StatusOr<std::unique_ptr<Client>> Client::Create(http::EventLoops& loops, http::Dns& dns,
                                                       Options options) {
  options.session.is_server = false;
  std::string host;
  std::uint16_t port = 0;
  if (options.connect) options.addresses = {"this process"};
  if (options.addresses.empty()) return FieldError("addresses", "must name at least one");
  for (const std::string& address : options.addresses) {
    if (!options.connect && !SplitAddress(address, host, port)) {
      return FieldError("addresses", "\"" + address + "\" is not host:port");
    }
  }
  auto parts = std::make_unique<Parts>();
  parts->context = std::make_shared<ClientContext>(loops, dns, std::move(options), nullptr);
  if (parts->context->options.tls) {
    ASSIGN_OR_RETURN(parts->context->tls, http::MakeClientTls(*parts->context->options.tls));
  }
  for (int i = 0; i < loops.size(); ++i) {
    parts->pools.push_back(std::make_shared<ClientPool>(parts->context, i));
  }
  return std::unique_ptr<Client>(new Client(std::move(parts)));
}

Client::Client(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Client::~Client() { Stop(); }

Stream& Client::Open(Fields head, bool end, StreamHandler* handler) {
  const int loop = parts_->context->loops.CurrentLoop();
  return parts_->pools[loop]->Open(std::move(head), end, handler);
}

absl::Status Client::LastError() const {
  return parts_->pools[parts_->context->loops.CurrentLoop()]->last_error();
}

void Client::Stop() {
  AssertMayBlock("h2::Client::Stop");
  for (std::size_t i = 0; i < parts_->pools.size(); ++i) {
    parts_->context->loops.RunAndWait(static_cast<int>(i),
                                      [pool = parts_->pools[i].get()] { pool->Stop(); });
  }
}

}  // namespace penstock::h2
