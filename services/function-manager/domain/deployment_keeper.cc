#include "services/function-manager/domain/deployment_keeper.h"

#include <memory>
#include <optional>
#include <utility>

#include "libs/base/names.h"
#include "libs/base/status.h"
#include "libs/base/utf8.h"
#include "services/function-manager/domain/deliver.h"
#include "services/function-manager/domain/errors.h"
#include "services/function-manager/domain/text.h"
#include "services/function-manager/domain/versions.h"

namespace penstock::functions {
namespace {

absl::StatusOr<FunctionName> Parse(const DeploymentReport& report) {
  ASSIGN_OR_RETURN(ResourceName name, ParseResourceName("function", kCollection, report.function));
  if (report.uid.empty()) return FieldError("uid", "is missing: expected the function's uid");
  if (report.version < 1) return FieldError("version", "expected a version, from 1");
  if (report.state == FunctionState::kDeploying) {
    return FieldError("state", "expected READY or FAILED");
  }
  return FunctionName{std::move(name.space), std::move(name.id)};
}

}  // namespace

void DeploymentKeeper::Report(DeploymentReport report,
                              std::function<void(absl::StatusOr<FunctionState>)> done) {
  auto name = Parse(report);
  if (!name.ok()) return done(name.status());
  const bool is_ready = report.state == FunctionState::kReady;
  report.reason = is_ready ? "" : std::string(CutUtf8(report.reason, kStateReasonBytesMax));
  auto state = std::make_shared<FunctionState>();
  store_.Write(
      [state, name = *std::move(name),
       report = std::move(report)](FunctionWriter& writer) -> absl::Status {
        ASSIGN_OR_RETURN(const std::optional<Function> function, writer.Get(name));
        if (!function || function->uid != report.uid) return FunctionNotFound(name);
        ASSIGN_OR_RETURN(const std::optional<Function> version,
                         writer.GetVersion(name, report.version));
        if (!version) return VersionNotFound(writer, *function, report.version);
        *state = version->state;
        const bool is_known =
            version->state == report.state && version->state_reason == report.reason;
        if (is_known || version->state == FunctionState::kReady) return absl::OkStatus();
        *state = report.state;
        return writer.SetState(report.uid, report.version, report.state, report.reason);
      },
      DeliverResult(state, std::move(done)));
}

}  // namespace penstock::functions
