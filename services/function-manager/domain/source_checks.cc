#include "services/function-manager/domain/source_checks.h"

#include <fmt/format.h>

#include <map>

#include "libs/base/status.h"

namespace penstock::functions {
namespace {

absl::Status NotThere(const std::string& space) {
  return FieldError("process.source_digest",
                    fmt::format("is not there: upload the source to space \"{}\" first", space));
}

absl::Status CheckEntryIn(const std::map<std::string, bool>& files, const ProcessDriver& driver) {
  if (driver.entry.empty()) return absl::OkStatus();
  const auto found = files.find(driver.entry);
  if (found == files.end()) {
    return FieldError("process.entry",
                      fmt::format("there is no file \"{}\" in the archive", driver.entry));
  }
  if (driver.runtime == "exec" && !found->second) {
    return FieldError("process.entry", fmt::format("\"{}\" may not be run: its mode in the archive "
                                                   "lacks the x bit",
                                                   driver.entry));
  }
  return absl::OkStatus();
}

}  // namespace

bool HasArchive(const ProcessDriver& driver) {
  return !driver.source_digest.empty() && (!driver.entry.empty() || !driver.command.empty());
}

bool UseSourceAlike(const ProcessDriver& a, const ProcessDriver& b) {
  return a.source_digest == b.source_digest && a.entry == b.entry && a.runtime == b.runtime &&
         a.command.empty() == b.command.empty();
}

absl::Status SourceChecks::CheckExists(const std::string& space, const FunctionSpec& spec) const {
  const auto* driver = std::get_if<ProcessDriver>(&spec.driver);
  if (driver == nullptr || driver->source_digest.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const bool exists, sources_.Exists({space, driver->source_digest}));
  return exists ? absl::OkStatus() : NotThere(space);
}

absl::Status SourceChecks::LookInto(const std::string& space, const ProcessDriver& driver) const {
  const auto files = sources_.List({space, driver.source_digest});
  if (absl::IsNotFound(files.status())) return NotThere(space);
  if (absl::IsInvalidArgument(files.status())) {
    return FieldError("process.source_digest", std::string(files.status().message()));
  }
  RETURN_IF_ERROR(files.status());
  return CheckEntryIn(*files, driver);
}

void SourceChecks::CheckArchive(const std::string& space, const ProcessDriver& driver,
                                const Done& done) const {
  if (post_([this, space, driver, done] { done(LookInto(space, driver)); })) return;
  done(WithRetryAfter(absl::ResourceExhaustedError("too many sources wait to be looked into"),
                      absl::Seconds(1)));
}

}  // namespace penstock::functions
