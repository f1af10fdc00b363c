#include "services/function-executor/domain/middleware/catalog.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

namespace penstock::executor {
namespace {

// Stands where a step cannot be made: a call that passed without it could do harm.
class MissingStep final : public Middleware {
 public:
  explicit MissingStep(std::string message) : message_(std::move(message)) {}

  void Handle(const std::shared_ptr<Step>& step) const override {
    step->Finish(RefusedOutcome(absl::StatusCode::kUnimplemented,
                                {ErrorCategory::kSystem, "MiddlewareUnavailable", message_, {}}));
  }

 private:
  const std::string message_;
};

}  // namespace

std::size_t StatePool::size() const {
  const std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(std::count_if(
      states_.begin(), states_.end(), [](const auto& entry) { return !entry.second.expired(); }));
}

void StatePool::Sweep() {
  if (states_.size() < sweep_at_) return;
  std::erase_if(states_, [](const auto& entry) { return entry.second.expired(); });
  sweep_at_ = std::max<std::size_t>(64, 2 * states_.size());
}

std::string StepContext::StateKey(Scope scope) const {
  const std::string place = fmt::format("{}/{}/{}", is_of_space ? "s" : "f", kind, ordinal);
  if (scope == Scope::kSpace && is_of_space) {
    return fmt::format("space {} {}", function.space, place);
  }
  if (scope == Scope::kVersion)
    return fmt::format("{}@{} {}", function.uid, function.version, place);
  return fmt::format("{} {}", function.uid, place);
}

void MiddlewareCatalog::Add(std::string kind, MiddlewareFactory factory) {
  factories_.insert_or_assign(std::move(kind), std::move(factory));
}

std::shared_ptr<const Chain> MiddlewareCatalog::Build(const std::vector<StepSpec>& of_space,
                                                      const FunctionSpec& function) {
  if (of_space.empty() && function.middleware.empty()) return nullptr;
  std::vector<Chain::Link> links;
  AddLinks(of_space, true, function, &links);
  AddLinks(function.middleware, false, function, &links);
  return std::make_shared<const Chain>(std::move(links));
}

void MiddlewareCatalog::AddLinks(const std::vector<StepSpec>& steps, bool is_of_space,
                                 const FunctionSpec& function, std::vector<Chain::Link>* links) {
  std::map<std::string, std::size_t> counts;
  for (const StepSpec& spec : steps) {
    const StepContext context{spec.kind, function, is_of_space, counts[spec.kind]++,
                              timers_,   clock_,   random_,     states_};
    const auto make = [&]() -> absl::StatusOr<std::shared_ptr<const Middleware>> {
      const auto factory = factories_.find(spec.kind);
      if (factory == factories_.end()) {
        return absl::UnimplementedError("this executor does not have it");
      }
      auto settings = StepSettings::Parse(spec.settings);
      if (!settings.ok()) return settings.status();
      auto made = factory->second(*settings, context);
      if (made.ok() && !settings->status().ok()) return settings->status();
      return made;
    };
    auto made = make();
    if (!made.ok()) {
      made = std::make_shared<const MissingStep>(
          fmt::format("the middleware {} of {} cannot run: {}",
                      spec.kind.empty() ? "of a kind unknown here" : spec.kind,
                      is_of_space ? "the space " + function.space : "the function " + function.id,
                      std::string(made.status().message())));
    }
    links->push_back({spec.kind, is_of_space, *std::move(made)});
  }
}

}  // namespace penstock::executor
