#include "libs/http/client.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "libs/base/status.h"
#include "libs/http/client_pool.h"
#include "libs/http/event_loops_asio.h"
#include "libs/http/tls_context_asio.h"
#include "libs/http/url.h"

namespace penstock::http {
namespace {

namespace asio = boost::asio;

absl::Status Validate(const ClientRequest& request) {
  if (!IsValidHeader(request.method, "") || request.method == "CONNECT") {
    return FieldError("method", "expected a token other than CONNECT");
  }
  for (const Headers::Field field : request.headers) {
    if (!IsValidHeader(field.name, field.value)) {
      return FieldError("headers", "a name is no token, or a value holds a control byte");
    }
    for (const char* own : {"content-length", "transfer-encoding", "connection"}) {
      if (EqualsIgnoreCase(field.name, own)) {
        return FieldError("headers", fmt::format("{} is set by the client itself", own));
      }
    }
  }
  return absl::OkStatus();
}

// Holds the call weakly, so that a handle that is kept keeps nothing else.
class CallHandle final : public Cancelable {
 public:
  CallHandle(std::weak_ptr<ClientPool> pool, std::weak_ptr<ClientCall> call)
      : pool_(std::move(pool)), call_(std::move(call)) {}

  void Cancel() override {
    std::shared_ptr<ClientPool> pool = pool_.lock();
    std::shared_ptr<ClientCall> call = call_.lock();
    if (pool == nullptr || call == nullptr) return;
    EventLoops& loops = pool->context().loops;
    const int loop = pool->loop();
    loops.Post(loop, [pool = std::move(pool), call = std::move(call)] { pool->Cancel(call); });
  }

 private:
  const std::weak_ptr<ClientPool> pool_;
  const std::weak_ptr<ClientCall> call_;
};

}  // namespace

ClientTarget::ClientTarget(Url server) : url(std::move(server)), key(PoolKeyOf(url)) {}

class Client::Impl {
 public:
  Impl(EventLoops& loops, Options options)
      : context_(std::make_shared<ClientContext>(loops, std::move(options))) {
    for (int i = 0; i < loops.size(); ++i) {
      pools_.push_back(std::make_shared<ClientPool>(context_, i));
    }
  }

  absl::Status Open() {
    ASSIGN_OR_RETURN(context_->tls, MakeClientTls(context_->options.tls));
    return absl::OkStatus();
  }

  std::shared_ptr<Cancelable> Send(ClientRequest request, Done done) {
    EventLoops& loops = context_->loops;
    const int loop = loops.PickLoop();
    absl::StatusOr<Url> url = ParseUrl(request.url);
    absl::Status status = url.ok() ? Validate(request) : url.status();
    if (!status.ok()) {
      loops.Post(loop, [done = std::move(done), status = std::move(status)]() mutable {
        done(std::move(status));
      });
      return std::make_shared<CallHandle>(std::weak_ptr<ClientPool>(), std::weak_ptr<ClientCall>());
    }
    std::string key = PoolKeyOf(*url);
    auto call = std::make_shared<ClientCall>(std::move(request), *std::move(url), std::move(key),
                                             std::move(done));
    auto handle = std::make_shared<CallHandle>(pools_[loop], call);
    loops.Post(loop, [pool = pools_[loop], call = std::move(call)]() mutable {
      pool->Start(std::move(call));
    });
    return handle;
  }

  std::shared_ptr<ClientStream> OpenStream(const ClientTarget& target, ClientStreamRequest request,
                                           std::shared_ptr<ClientStream::Events> events) {
    return std::make_shared<ClientStream>(pools_[context_->loops.CurrentLoop()], target.url,
                                          target.key, std::move(request), std::move(events));
  }

  ClientStats Stats() const {
    ClientStats stats;
    for (const std::shared_ptr<ClientPool>& pool : pools_) pool->AddStats(stats);
    return stats;
  }

  void RenewConnections() {
    for (int i = 0; i < context_->loops.size(); ++i) {
      context_->loops.RunAndWait(i, [this, i] { pools_[i]->RenewConnections(); });
    }
  }

  void Stop() {
    context_->stopped = true;
    for (int i = 0; i < context_->loops.size(); ++i) {
      context_->loops.RunAndWait(i, [this, i] { pools_[i]->Stop(); });
    }
    context_->dns.Stop();
  }

 private:
  const std::shared_ptr<ClientContext> context_;
  std::vector<std::shared_ptr<ClientPool>> pools_;
};

absl::StatusOr<std::unique_ptr<Client>> Client::Create(EventLoops& loops, Options options) {
  auto impl = std::make_shared<Impl>(loops, std::move(options));
  RETURN_IF_ERROR(impl->Open());
  return std::unique_ptr<Client>(new Client(std::move(impl)));
}

Client::Client(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
Client::~Client() { Stop(); }
std::shared_ptr<Cancelable> Client::Send(ClientRequest request, Done done) {
  return impl_->Send(std::move(request), std::move(done));
}
std::shared_ptr<ClientStream> Client::OpenStream(const ClientTarget& target,
                                                 ClientStreamRequest request,
                                                 std::shared_ptr<ClientStream::Events> events) {
  return impl_->OpenStream(target, std::move(request), std::move(events));
}
ClientStats Client::Stats() const { return impl_->Stats(); }
void Client::RenewConnections() { impl_->RenewConnections(); }
void Client::Stop() { impl_->Stop(); }

}  // namespace penstock::http
