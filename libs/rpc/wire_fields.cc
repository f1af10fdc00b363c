#include "libs/rpc/wire_fields.h"

#include <string>
#include <utility>

#include "absl/strings/escaping.h"

namespace penstock::rpc {

MetadataList MetadataOf(const h2::Fields& fields) {
  MetadataList metadata;
  for (const auto& [name, value] : fields) {
    if (name.starts_with(':') || name.starts_with("grpc-") || name == "te" ||
        name == "content-type") {
      continue;
    }
    std::string text(value);
    if (name.ends_with("-bin")) absl::Base64Unescape(std::string(value), &text);
    metadata.emplace_back(std::string(name), std::move(text));
  }
  return metadata;
}

void AddMetadata(const MetadataList& metadata, h2::Fields& fields) {
  for (const auto& [key, value] : metadata) {
    fields.Add(key, key.ends_with("-bin") ? absl::Base64Escape(value) : value);
  }
}

}  // namespace penstock::rpc
