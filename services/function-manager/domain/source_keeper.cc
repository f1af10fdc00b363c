#include "services/function-manager/domain/source_keeper.h"

#include <fmt/format.h>

#include <utility>

#include "libs/base/sha256.h"
#include "libs/base/status.h"
#include "services/function-manager/domain/deliver.h"
#include "services/function-manager/domain/text.h"

namespace penstock::functions {

absl::StatusOr<std::unique_ptr<SourceStore::Upload>> SourceKeeper::Begin(
    const std::string& parent) {
  ASSIGN_OR_RETURN(const std::string space, spaces_.ParseParent("parent", parent));
  return sources_.Begin(space);
}

absl::StatusOr<std::unique_ptr<SourceStore::Reader>> SourceKeeper::Open(const std::string& parent,
                                                                        const std::string& digest) {
  ASSIGN_OR_RETURN(const std::string space, spaces_.ParseParent("parent", parent));
  if (!IsSha256Hex(digest)) {
    return FieldError("digest", fmt::format("{} is not a digest: expected 64 lower-case "
                                            "hexadecimal digits",
                                            Quoted(digest)));
  }
  return sources_.Open({space, digest});
}

void SourceKeeper::Sweep(SweepDone done) {
  auto used = std::make_shared<std::set<SourceName>>();
  // What the job below sees of others may yet be rolled back with its transaction: a source that
  // was in use before stays.
  store_.Read(
      [used](FunctionReader& reader) -> absl::Status {
        ASSIGN_OR_RETURN(*used, reader.SourcesInUse());
        return absl::OkStatus();
      },
      [this, used, done = std::move(done)](const absl::Status& status) mutable {
        if (!status.ok()) return done(status);
        SweepBut(used, std::move(done));
      });
}

// As a job that writes: none that stores a function, and has seen its source, runs beside it.
void SourceKeeper::SweepBut(const std::shared_ptr<std::set<SourceName>>& used, SweepDone done) {
  auto removed = std::make_shared<int>(0);
  store_.Write(
      [this, used, removed](FunctionWriter& writer) -> absl::Status {
        ASSIGN_OR_RETURN(std::set<SourceName> used_now, writer.SourcesInUse());
        used->merge(used_now);
        ASSIGN_OR_RETURN(*removed, sources_.Sweep(*used, clock_.Wall() - grace_));
        return absl::OkStatus();
      },
      DeliverResult(removed, std::move(done)));
}

}  // namespace penstock::functions
