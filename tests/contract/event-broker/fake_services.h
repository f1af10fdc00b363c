// The services that the event-broker calls, played for tests.
#pragma once

#include <penstock/internal/v1/invocation_service.grpc.pb.h>
#include <penstock/internal/v1/registry_service.grpc.pb.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "libs/rpc/bidi_server.h"
#include "libs/rpc/peer_auth.h"
#include "libs/rpc/server_unary.h"

namespace penstock::broker {

namespace pbi = penstock::internal::v1;

// Every function exists whose id does not begin with "missing". Thread-safe.
class FakeRegistry final : public pbi::FunctionRegistryService::CallbackService {
 public:
  explicit FakeRegistry(std::shared_ptr<const rpc::PeerAuth> auth) : auth_(std::move(auth)) {}

  grpc::ServerUnaryReactor* AcquireFunctionReference(
      grpc::CallbackServerContext* context, const pbi::AcquireFunctionReferenceRequest* request,
      pbi::AcquireFunctionReferenceResponse* response) override {
    return rpc::ServeUnary(
        context, request, response,
        [this](const auto& given, auto* answer, rpc::CallContext& call, const auto& done) {
          if (const auto status = auth_->Check(call); !status.ok()) return done(status);
          const std::lock_guard lock(mutex_);
          if (silent_) return silenced_.push_back(done);
          if (given.function().find("/missing") != std::string::npos) {
            return done(absl::NotFoundError("no such function"));
          }
          held_.insert(given.function() + " " + given.holder());
          answer->set_revision(7);
          done(absl::OkStatus());
        });
  }
  grpc::ServerUnaryReactor* ReleaseFunctionReference(
      grpc::CallbackServerContext* context, const pbi::ReleaseFunctionReferenceRequest* request,
      pbi::ReleaseFunctionReferenceResponse* response) override {
    return rpc::ServeUnary(
        context, request, response,
        [this](const auto& given, auto*, rpc::CallContext& call, const auto& done) {
          if (const auto status = auth_->Check(call); !status.ok()) return done(status);
          const std::lock_guard lock(mutex_);
          held_.erase(given.function() + " " + given.holder());
          done(absl::OkStatus());
        });
  }
  grpc::ServerUnaryReactor* ReconcileFunctionReferences(
      grpc::CallbackServerContext* context, const pbi::ReconcileFunctionReferencesRequest* request,
      pbi::ReconcileFunctionReferencesResponse* response) override {
    return rpc::ServeUnary(
        context, request, response,
        [this](const auto& given, auto*, rpc::CallContext& call, const auto& done) {
          if (const auto status = auth_->Check(call); !status.ok()) return done(status);
          const std::lock_guard lock(mutex_);
          held_.clear();
          for (const auto& reference : given.references()) {
            held_.insert(reference.function() + " " + reference.holder());
          }
          ++reconciliations_;
          done(absl::OkStatus());
        });
  }

  // "function holder" of every hold.
  std::set<std::string> held() const {
    const std::lock_guard lock(mutex_);
    return held_;
  }
  int reconciliations() const {
    const std::lock_guard lock(mutex_);
    return reconciliations_;
  }
  std::size_t silenced() const {
    const std::lock_guard lock(mutex_);
    return silenced_.size();
  }
  // From now on acquisitions get no answer.
  void BeSilent() {
    const std::lock_guard lock(mutex_);
    silent_ = true;
  }

 private:
  const std::shared_ptr<const rpc::PeerAuth> auth_;
  mutable std::mutex mutex_;
  std::set<std::string> held_;
  std::vector<rpc::ServerDone> silenced_;
  int reconciliations_ = 0;
  bool silent_ = false;
};

// Answers each invocation as the test wants, at once. Thread-safe.
class FakeExecutor final : public pbi::InvocationService::CallbackService {
 public:
  using Outcome = pbi::InvocationResult::Outcome;
  using Answer = std::function<Outcome(const pbi::Invocation&)>;
  using Stream = rpc::BidiServer<pbi::InvokeStreamRequest, pbi::InvokeStreamResponse>;

  explicit FakeExecutor(std::shared_ptr<const rpc::PeerAuth> auth) : auth_(std::move(auth)) {}

  grpc::ServerBidiReactor<pbi::InvokeStreamRequest, pbi::InvokeStreamResponse>* InvokeStream(
      grpc::CallbackServerContext* context) override {
    return Stream::Serve(context, [this](const std::shared_ptr<Stream>& stream) {
      Stream::Handlers handlers;
      if (const auto status = auth_->Check(stream->context()); !status.ok()) {
        stream->Finish(status);
        return handlers;
      }
      auto outgoing = std::make_shared<std::deque<pbi::InvokeStreamResponse>>();
      auto lock_of_outgoing = std::make_shared<std::mutex>();
      outgoing->emplace_back().set_credit(100);
      handlers.fill = [outgoing, lock_of_outgoing](pbi::InvokeStreamResponse& message) {
        const std::lock_guard lock(*lock_of_outgoing);
        if (outgoing->empty()) return false;
        message.Swap(&outgoing->front());
        outgoing->pop_front();
        return true;
      };
      // Weakly: the stream owns its handlers.
      handlers.on_message = [this, outgoing, lock_of_outgoing, weak = std::weak_ptr(stream)](
                                const pbi::InvokeStreamRequest& message) {
        pbi::InvokeStreamResponse response;
        for (const auto& invocation : message.invocations()) Take(invocation, response);
        if (response.results_size() == 0) return;
        {
          const std::lock_guard lock(*lock_of_outgoing);
          outgoing->push_back(std::move(response));
        }
        if (const auto running = weak.lock()) running->Notify();
      };
      return handlers;
    });
  }

  // OUTCOME_UNSPECIFIED gives no answer.
  void set_answer(Answer answer) {
    const std::lock_guard lock(mutex_);
    answer_ = std::move(answer);
  }
  std::vector<pbi::Invocation> invocations() const {
    const std::lock_guard lock(mutex_);
    return invocations_;
  }
  std::size_t count() const {
    const std::lock_guard lock(mutex_);
    return invocations_.size();
  }

 private:
  void Take(const pbi::Invocation& invocation, pbi::InvokeStreamResponse& response) {
    const std::lock_guard lock(mutex_);
    invocations_.push_back(invocation);
    const Outcome outcome = answer_(invocation);
    if (outcome == pbi::InvocationResult::OUTCOME_UNSPECIFIED) return;
    auto* result = response.add_results();
    result->set_delivery_id(invocation.delivery_id());
    result->set_attempt(invocation.attempt());
    result->set_epoch(invocation.epoch());
    result->set_outcome(outcome);
    if (outcome != pbi::InvocationResult::SUCCEEDED) {
      result->mutable_error()->set_type("Boom");
      result->mutable_error()->set_message("it broke");
    }
  }

  const std::shared_ptr<const rpc::PeerAuth> auth_;
  mutable std::mutex mutex_;
  Answer answer_ = [](const pbi::Invocation&) { return pbi::InvocationResult::SUCCEEDED; };
  std::vector<pbi::Invocation> invocations_;
};

}  // namespace penstock::broker
