#include "services/function-manager/domain/weighted.h"

#include <fmt/format.h>

#include <optional>
#include <utility>

#include "libs/base/status.h"
#include "services/function-manager/domain/errors.h"
#include "services/function-manager/domain/text.h"
#include "services/function-manager/domain/versions.h"

namespace penstock::functions {

absl::StatusOr<std::vector<std::string>> SplitsHolding(FunctionReader& reader,
                                                       const FunctionName& name) {
  ASSIGN_OR_RETURN(const auto splits, reader.SplitsOver(name));
  std::vector<std::string> holding;
  for (const VersionName& split : splits) {
    ASSIGN_OR_RETURN(const bool is_reached, IsReached(reader, split));
    if (is_reached) holding.push_back(TaggedText(split.function, std::to_string(split.version)));
  }
  return holding;
}

absl::Status CheckWeightedTargets(FunctionReader& reader, const FunctionName& name,
                                  const FunctionSpec& spec) {
  const auto* weighted = std::get_if<WeightedDriver>(&spec.driver);
  if (weighted == nullptr) return absl::OkStatus();
  std::vector<FieldViolation> violations;
  for (std::size_t i = 0; i < weighted->targets.size(); ++i) {
    const std::string& id = weighted->targets[i].function;
    std::string problem;
    if (id == name.id) {
      problem = "is the function itself: expected another";
    } else {
      ASSIGN_OR_RETURN(const std::optional<Function> target, reader.Get({name.space, id}));
      if (!target) {
        problem = fmt::format("{} is no function of the space", Quoted(id));
      } else if (std::holds_alternative<WeightedDriver>(target->spec.driver)) {
        problem = fmt::format("{} is weighted itself: expected what it names", Quoted(id));
      }
    }
    if (problem.empty()) continue;
    violations.push_back(
        {fmt::format("function.weighted.targets[{}].function", i), std::move(problem)});
  }
  RETURN_IF_ERROR(FieldErrors(violations));
  ASSIGN_OR_RETURN(const auto holding, SplitsHolding(reader, name));
  if (holding.empty()) return absl::OkStatus();
  return WithReason(absl::FailedPreconditionError(fmt::format(
                        "Function \"{}\" is a target of {}, so it cannot be weighted itself",
                        name.ToString(), HoldersText(holding))),
                    kReasonFunctionInUse, {{"function", name.ToString()}});
}

}  // namespace penstock::functions
