// Resources written in YAML or JSON files, for `apply` and `delete`.
//
//   kind: Function                  # or Subscription; may be left out when `name` is a full name
//   name: hello                     # or metadata.name
//   space: default                  # default: the command's
//   metadata: {team: shop}          # of the resource
//   spec:                           # the resource's fields, as JSON has them
//     process: {runtime: python3, sourceFile: hello.py}
//
// The fields may also stand beside `kind`, so that what `get -o yaml` prints can be applied.
#pragma once

#include <google/protobuf/message.h>

#include <istream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/config/value.h"

namespace penstock::cli {

enum class Kind { kFunction, kSubscription };

// "Function", "Subscription".
std::string_view KindName(Kind kind);
// "functions", "subscriptions".
std::string_view CollectionOf(Kind kind);

// One resource.
struct Document {
  Kind kind = Kind::kFunction;
  std::string space;
  std::string id;
  // "file.yaml:12": where the document begins.
  std::string place;
  // functions::v1::Function or events::v1::Subscription, `name` set.
  std::unique_ptr<google::protobuf::Message> resource;

  // "Function hello" or "Function hello in space shop".
  std::string Label(std::string_view default_space) const;
};

// What a file holds: documents, and what is wrong with others. Each error begins with file and
// line.
struct Documents {
  std::vector<Document> documents;
  std::vector<absl::Status> errors;
};

// Reads documents from text; `source` names it in errors, `folder` is where a `sourceFile` is
// looked for. `default_space` and `default_kind` are for documents that name none.
void ParseDocuments(std::string_view text, const std::string& source, const std::string& folder,
                    std::string_view default_space, Documents* out,
                    std::optional<Kind> default_kind = std::nullopt);

// Reads a file, a folder (its .yaml, .yml and .json files by name, not those of inner folders), or
// "-" for `in`. An error when nothing can be read at all.
absl::Status LoadDocuments(const std::string& path, std::istream& in,
                           std::string_view default_space, Documents* out);

// `value` as JSON text: plain scalars as null, booleans and numbers where JSON has them, else
// strings.
std::string ValueToJson(const config::Value& value);

// Where the field at `path` ("filters[0].exact.source") was written, or the closest one around it.
config::Place FindPlace(const config::Value& root, std::string_view path);

}  // namespace penstock::cli
