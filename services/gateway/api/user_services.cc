#include "services/gateway/api/user_services.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <fstream>
#include <iterator>
#include <optional>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "libs/base/status.h"
#include "libs/log/log.h"
#include "libs/rpc/metadata.h"
#include "libs/transcode/path_template.h"
#include "services/gateway/api/stream_answer.h"
#include "services/gateway/api/transcoded_call.h"

namespace penstock::gateway {
namespace {

using transcode::Binding;
using transcode::DescriptorSet;
using transcode::Route;

constexpr std::chrono::milliseconds kInterval{500};
constexpr std::chrono::milliseconds kReflectionTimeout{5'000};

// Descriptor sets above this are refused.
constexpr std::int64_t kFileBytesMax = 64 << 20;

// What tells one state of a file from the next.
using FileState = std::tuple<std::int64_t, std::int64_t, std::uint64_t, std::int64_t>;

std::optional<FileState> StateOf(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return std::nullopt;
  return FileState{info.st_mtim.tv_sec, info.st_mtim.tv_nsec, info.st_ino, info.st_size};
}

// The first segment of a template when it is text; else empty. What is malformed is for the table
// to refuse.
std::string FirstSegment(const std::string& path_template) {
  const auto parsed = transcode::ParsePathTemplate(path_template);
  return parsed.ok() && !parsed->segments.empty() ? parsed->segments.front().literal : "";
}

metrics::Counter& SetsCounter(metrics::Registry& metrics, std::string_view result) {
  return metrics
      .CounterFamily("penstock_gateway_descriptor_sets_total",
                     "Descriptors of users' services that were read again, by what came of it.",
                     {"result"})
      .With({result});
}

}  // namespace

// What requests are served from. Immutable.
struct UserServices::Snapshot {
  // By service; null while a server has not been asked. Destroyed last.
  std::vector<std::shared_ptr<const DescriptorSet>> sets;
  std::optional<transcode::RouteTable> table;
  std::unordered_map<const Route*, std::size_t> owners;
};

struct UserServices::Service {
  explicit Service(std::shared_ptr<UserUpstream> channels) : upstream(std::move(channels)) {}

  const UserServiceOptions& options() const { return upstream->options(); }
  bool FromServer() const { return options().descriptors == kReflection; }

  const std::shared_ptr<UserUpstream> upstream;
  // Of the watching thread.
  std::optional<FileState> file_state;
  std::string last_error;
  // Guarded by the mutex of UserServices.
  std::shared_ptr<ReflectionReader> reader;
  // Set when the server should be asked.
  std::atomic<bool> stale{true};
};

UserServices::UserServices(std::vector<std::unique_ptr<Service>> services,
                           std::shared_ptr<const transcode::RouteTable> suite, HeaderRules headers,
                           metrics::Registry& metrics)
    : suite_(std::move(suite)),
      headers_(std::move(headers)),
      taken_(SetsCounter(metrics, "taken")),
      refused_(SetsCounter(metrics, "refused")),
      services_(std::move(services)) {
  auto empty = std::make_shared<Snapshot>();
  empty->sets.resize(services_.size());
  snapshot_ = std::move(empty);
}

absl::StatusOr<std::unique_ptr<UserServices>> UserServices::Create(
    std::vector<UserServiceOptions> services, std::shared_ptr<const transcode::RouteTable> suite,
    HeaderRules headers, metrics::Registry& metrics, const UserServices* before) {
  std::vector<std::unique_ptr<Service>> made_services;
  for (UserServiceOptions& options : services) {
    std::size_t index = 0;
    const Service* own = before == nullptr ? nullptr : before->Find(options.name, &index);
    made_services.push_back(
        std::make_unique<Service>(own != nullptr && own->upstream->IsFor(options)
                                      ? own->upstream
                                      : std::make_shared<UserUpstream>(std::move(options))));
  }
  std::unique_ptr<UserServices> made(
      new UserServices(std::move(made_services), std::move(suite), std::move(headers), metrics));
  for (std::size_t i = 0; i < made->services_.size(); ++i) {
    RETURN_IF_ERROR(made->Begin(i, before));
  }
  return made;
}

const UserServices::Service* UserServices::Find(const std::string& name, std::size_t* index) const {
  for (*index = 0; *index < services_.size(); ++*index) {
    if (services_[*index]->options().name == name) return services_[*index].get();
  }
  return nullptr;
}

absl::Status UserServices::Begin(std::size_t index, const UserServices* before) {
  Service& service = *services_[index];
  std::size_t old_index = 0;
  const Service* old =
      before == nullptr ? nullptr : before->Find(service.options().name, &old_index);
  const bool is_same = old != nullptr && old->upstream == service.upstream;
  const bool is_moved = old != nullptr && service.FromServer() && old->FromServer();
  // A file that changed meanwhile is for the watch, as it was.
  if (is_same || is_moved) {
    if (auto set = before->Current()->sets[old_index]) {
      RETURN_IF_ERROR(Replace(index, std::move(set)));
    }
  }
  if (is_same) return absl::OkStatus();
  if (!service.FromServer()) return ReadFile(index);
  // At the first start a server may be later than the gateway.
  if (before == nullptr) return absl::OkStatus();
  service.stale = false;
  if (!ReadServer(index).ok()) service.stale = true;
  return absl::OkStatus();
}

bool UserServices::IsFor(const std::vector<UserServiceOptions>& services,
                         const HeaderRules& headers) const {
  return headers == headers_ &&
         std::equal(services.begin(), services.end(), services_.begin(), services_.end(),
                    [](const UserServiceOptions& options, const auto& service) {
                      return service->upstream->IsFor(options);
                    });
}

UserServices::~UserServices() { Stop(); }

void UserServices::Start() {
  if (!services_.empty() && !thread_.joinable()) thread_ = std::thread([this] { Run(); });
}

void UserServices::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    wake_.notify_all();
  }
  // Ends a conversation that the thread may be waiting for.
  for (const auto& service : services_) {
    std::shared_ptr<ReflectionReader> reader;
    {
      const std::lock_guard lock(mutex_);
      reader = std::exchange(service->reader, nullptr);
    }
    if (reader != nullptr) reader->Close();
  }
  if (thread_.joinable()) thread_.join();
}

std::shared_ptr<const UserServices::Snapshot> UserServices::Current() const {
  const std::lock_guard lock(mutex_);
  return snapshot_;
}

absl::Status UserServices::CheckPlace(const Binding& binding) const {
  const std::string first = FirstSegment(binding.path_template);
  const auto refusal = [&](std::string_view owner) {
    return absl::InvalidArgumentError(fmt::format("google.api.http of {}: {} {} takes paths of {}",
                                                  binding.method->full_name(), binding.http_method,
                                                  binding.path_template, owner));
  };
  if (first.empty()) return absl::OkStatus();
  if (first.starts_with('_') || first == "openapi.json") return refusal("the gateway itself");
  for (const auto& route : suite_->routes()) {
    if (FirstSegment(route->path_template) == first) {
      return refusal(fmt::format("{} ({})", route->method->full_name(), route->path_template));
    }
  }
  return absl::OkStatus();
}

absl::Status UserServices::Replace(std::size_t index, std::shared_ptr<const DescriptorSet> set) {
  auto next = std::make_shared<Snapshot>();
  next->sets = Current()->sets;
  next->sets[index] = std::move(set);
  std::vector<Binding> all;
  std::vector<std::size_t> owners;
  for (std::size_t i = 0; i < next->sets.size(); ++i) {
    if (next->sets[i] == nullptr) continue;
    ASSIGN_OR_RETURN(auto bindings, next->sets[i]->Bindings());
    for (Binding& binding : bindings) {
      RETURN_IF_ERROR(CheckPlace(binding));
      all.push_back(std::move(binding));
      owners.push_back(i);
    }
  }
  ASSIGN_OR_RETURN(next->table, transcode::RouteTable::Build(all));
  for (std::size_t i = 0; i < owners.size(); ++i) {
    next->owners.emplace(next->table->routes()[i].get(), owners[i]);
  }
  std::shared_ptr<const Snapshot> before = std::move(next);
  const std::lock_guard lock(mutex_);
  std::swap(snapshot_, before);  // the one before goes when nobody uses it, not under the lock
  return absl::OkStatus();
}

void UserServices::Run() {
  for (;;) {
    for (std::size_t i = 0; i < services_.size(); ++i) Refresh(i);
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, kInterval, [this] { return stopping_; });
    if (stopping_) return;
  }
}

void UserServices::Refresh(std::size_t index) {
  Service& service = *services_[index];
  const std::string& name = service.options().name;
  const auto& path = service.options().descriptors;
  absl::Status status;
  if (service.FromServer()) {
    if (!service.stale.exchange(false)) return;
    status = ReadServer(index);
    // Tried again at the next turn: the server may only not be there yet.
    if (!status.ok()) service.stale = true;
  } else {
    if (StateOf(path) == service.file_state) return;
    status = ReadFile(index);
  }
  std::string error = status.ok() ? std::string() : std::string(status.message());
  // A server that is down is asked again and again: said once.
  if (!status.ok() && (!service.FromServer() || error != service.last_error)) {
    refused_.Increment();
    log::Warn("descriptors of a service cannot be taken; what was served before goes on",
              {{"upstream", name}, {"descriptors", path}, {"error", status}});
  } else if (status.ok()) {
    taken_.Increment();
    log::Info("descriptors of a service were read", {{"upstream", name}, {"descriptors", path}});
  }
  service.last_error = std::move(error);
}

absl::Status UserServices::ReadFile(std::size_t index) {
  Service& service = *services_[index];
  const auto& [name, path] = std::tie(service.options().name, service.options().descriptors);
  const auto refusal = [&](const absl::Status& why) {
    return absl::InvalidArgumentError(
        fmt::format("the descriptors of {} in {}: {}", name, path, std::string(why.message())));
  };
  // Taken before the content: a change in between is seen at the next look.
  service.file_state = StateOf(path);
  if (!service.file_state) return refusal(absl::NotFoundError("there is no such file"));
  if (std::get<3>(*service.file_state) > kFileBytesMax) {
    return refusal(absl::InvalidArgumentError("the file is too large"));
  }
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (!file) return refusal(absl::UnavailableError("the file cannot be read"));
  auto set = DescriptorSet::Parse(bytes);
  if (!set.ok()) return refusal(set.status());
  const absl::Status replaced = Replace(index, *std::move(set));
  return replaced.ok() ? replaced : refusal(replaced);
}

absl::Status UserServices::ReadServer(std::size_t index) {
  Service& service = *services_[index];
  ASSIGN_OR_RETURN(auto channel, service.upstream->Pick());
  const auto reader =
      ReflectionReader::Open(std::move(channel), [&service] { service.stale = true; });
  std::shared_ptr<ReflectionReader> before;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return absl::CancelledError("the gateway stops");
    before = std::exchange(service.reader, reader);
  }
  if (before != nullptr) before->Close();
  ASSIGN_OR_RETURN(const auto files, reader->Read(kReflectionTimeout));
  ASSIGN_OR_RETURN(auto set, DescriptorSet::Build(files));
  return Replace(index, std::move(set));
}

bool UserServices::Handle(const std::shared_ptr<HttpCall>& call) const {
  if (services_.empty()) return false;
  const auto snapshot = Current();
  if (!snapshot->table) return false;
  const auto match = snapshot->table->Match(call->request.method, call->request.path());
  if (match.route == nullptr) return false;
  call->set_surface(Surface::kService);
  Call(call, snapshot, match);
  return true;
}

bool UserServices::RefuseMethod(const std::shared_ptr<HttpCall>& call) const {
  if (services_.empty()) return false;
  const auto snapshot = Current();
  if (!snapshot->table) return false;
  const auto match = snapshot->table->Match(call->request.method, call->request.path());
  if (match.allowed_methods.empty()) return false;
  call->Respond(MethodNotAllowed(call->request, match.allowed_methods));
  return true;
}

UserMethod UserServices::FindMethod(std::string_view full_name) const {
  const auto snapshot = Current();
  for (std::size_t i = 0; i < snapshot->sets.size(); ++i) {
    if (snapshot->sets[i] == nullptr) continue;
    const auto* method = snapshot->sets[i]->FindMethod(full_name);
    if (method == nullptr) continue;
    const DescriptorSet& set = *snapshot->sets[i];
    return {snapshot, method, set.Prototype(method->input_type()),
            set.Prototype(method->output_type()), services_[i]->upstream};
  }
  return {};
}

void UserServices::Call(const std::shared_ptr<HttpCall>& call,
                        std::shared_ptr<const Snapshot> snapshot,
                        const transcode::MatchResult& match) const {
  const http::Request& request = call->request;
  const Route& route = *match.route;
  if (const absl::Status checked = CheckContentType(route, request); !checked.ok()) {
    return call->Respond(ErrorAnswer(415, checked));
  }
  UserUpstream& upstream = *services_[snapshot->owners.at(&route)]->upstream;
  TranscodedCall order{
      .call = call,
      .route = {std::move(snapshot), &route},
      .requests = {},
      .channel = nullptr,
      .options = {},
      .named = [&upstream](const absl::Status& status) { return upstream.Named(status); },
      .header_rules = &headers_};
  const auto prepare = [&]() -> absl::Status {
    ASSIGN_OR_RETURN(order.requests,
                     RequestsOf(match, request, request.headers.Get("Content-Type")));
    auto channel = upstream.Pick();
    if (!channel.ok()) return upstream.Named(channel.status());
    order.channel = *std::move(channel);
    if (!route.server_streaming) order.options.timeout = upstream.options().timeout;
    order.options.cancellation = call->cancellation();
    if (!call->principal.empty()) {
      order.options.metadata.emplace_back(rpc::kPrincipalKey, call->principal);
    }
    AddTraceContext(request.headers, &order.options);
    return AddCallMetadata(request.headers, headers_, &order.options);
  };
  if (const absl::Status prepared = prepare(); !prepared.ok()) return call->Fail(prepared);
  if (route.server_streaming) return AnswerWithStream(std::move(order));
  CallForOne(std::move(order), [call](OneAnswer answer) {
    if (!answer.status.ok()) return call->Fail(answer.status);
    call->Respond(std::move(answer.response));
  });
}

}  // namespace penstock::gateway
