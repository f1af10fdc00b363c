#include "tools/penstock/input/documents.h"

#include <fmt/format.h>
#include <penstock/events/v1/subscription.pb.h>
#include <penstock/functions/v1/function.pb.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <optional>

#include "libs/base/names.h"
#include "libs/base/status.h"
#include "libs/config/yaml.h"
#include "libs/protojson/json_tree.h"
#include "libs/protojson/json_writer.h"
#include "libs/protojson/protojson.h"
#include "tools/penstock/input/values.h"

namespace penstock::cli {
namespace {

using config::Place;
using config::Value;

absl::Status ErrorAt(const Place& place, std::string_view message) {
  return absl::InvalidArgumentError(fmt::format("{}: {}", place.ToString(), message));
}

const std::string& TextOr(const Value* value, const std::string& fallback) {
  return value != nullptr && value->is_scalar() ? value->text : fallback;
}

// Takes the entry `key` out of a map.
std::optional<Value> Take(Value& map, std::string_view key) {
  const auto found = std::find_if(map.entries.begin(), map.entries.end(),
                                  [&](const Value::Entry& entry) { return entry.key == key; });
  if (found == map.entries.end()) return std::nullopt;
  Value value = std::move(found->value);
  map.entries.erase(found);
  return value;
}

// Takes a text out of a map; nothing when it is not there.
absl::StatusOr<std::optional<Value>> TakeText(Value& map, std::string_view key) {
  std::optional<Value> value = Take(map, key);
  if (value && (!value->is_scalar() || value->text.empty())) {
    return ErrorAt(value->place,
                   fmt::format("{}: expected text, but this is {}", key, KindName(*value)));
  }
  return value;
}

// The parts of a document that are not fields of its resource.
struct Envelope {
  Place place;
  std::optional<Value> kind;
  std::optional<Value> name;
  std::optional<Value> space;
  // The resource's fields.
  Value fields;
};

absl::StatusOr<Envelope> Open(Value root) {
  if (!root.is_map()) {
    return ErrorAt(root.place,
                   fmt::format("expected a resource with kind, name and spec, but this is {}",
                               KindName(root)));
  }
  Envelope envelope;
  envelope.place = root.place;
  ASSIGN_OR_RETURN(envelope.kind, TakeText(root, "kind"));
  ASSIGN_OR_RETURN(envelope.name, TakeText(root, "name"));
  ASSIGN_OR_RETURN(envelope.space, TakeText(root, "space"));
  std::optional<Value> metadata = Take(root, "metadata");
  if (metadata && metadata->is_map() && !envelope.name) {
    ASSIGN_OR_RETURN(envelope.name, TakeText(*metadata, "name"));
    if (!envelope.space) {
      ASSIGN_OR_RETURN(envelope.space, TakeText(*metadata, "space"));
    }
  }
  std::optional<Value> spec = Take(root, "spec");
  if (spec) {
    if (!spec->is_map()) {
      return ErrorAt(
          spec->place,
          fmt::format("spec: expected the resource's fields, but this is {}", KindName(*spec)));
    }
    if (!root.entries.empty()) {
      const Value::Entry& extra = root.entries.front();
      return ErrorAt(
          extra.key_place,
          fmt::format("{}: not known beside `spec`; expected kind, name, space, metadata "
                      "and spec",
                      extra.key));
    }
    envelope.fields = *std::move(spec);
  } else {
    envelope.fields = std::move(root);
  }
  if (metadata && !(metadata->is_map() && metadata->entries.empty())) {
    envelope.fields.entries.push_back({"metadata", metadata->place, *std::move(metadata), ""});
  }
  return envelope;
}

// The kind that `kind` says, or that a full name says.
absl::StatusOr<Kind> KindOf(const Envelope& envelope, std::optional<Kind> default_kind) {
  const std::string none;
  const std::string& kind = TextOr(envelope.kind ? &*envelope.kind : nullptr, none);
  const std::string& name = TextOr(envelope.name ? &*envelope.name : nullptr, none);
  for (const Kind known : {Kind::kFunction, Kind::kSubscription}) {
    if (kind == KindName(known)) return known;
    const bool is_named = name.find(fmt::format("/{}/", CollectionOf(known))) != std::string::npos;
    if (kind.empty() && is_named) return known;
  }
  if (kind.empty() && default_kind) return *default_kind;
  const Place& place = envelope.kind ? envelope.kind->place : envelope.place;
  return ErrorAt(place, fmt::format("kind: expected Function or Subscription, but {}",
                                    kind.empty() ? "there is none" : "this is \"" + kind + "\""));
}

// Sets the document's space and id.
absl::Status NameDocument(const Envelope& envelope, std::string_view default_space,
                          Document* document) {
  if (!envelope.name) return ErrorAt(envelope.place, "name: is missing");
  const Place& place = envelope.name->place;
  const std::string& name = envelope.name->text;
  document->space = envelope.space ? envelope.space->text : std::string(default_space);
  if (name.starts_with("spaces/")) {
    const auto parsed = ParseResourceName("name", CollectionOf(document->kind), name);
    if (!parsed.ok()) return ErrorAt(place, std::string(parsed.status().message()));
    if (envelope.space && parsed->space != envelope.space->text) {
      return ErrorAt(envelope.space->place,
                     fmt::format("space: is \"{}\", but the name says \"{}\"", envelope.space->text,
                                 parsed->space));
    }
    document->space = parsed->space;
    document->id = parsed->id;
    return absl::OkStatus();
  }
  if (const auto checked = CheckResourceId("name", name); !checked.ok()) {
    return ErrorAt(place, std::string(checked.message()));
  }
  if (const auto checked = CheckSpace("space", document->space); !checked.ok()) {
    return ErrorAt(envelope.space ? envelope.space->place : place, std::string(checked.message()));
  }
  document->id = name;
  return absl::OkStatus();
}

// Replaces `process.sourceFile` by the file's text.
absl::Status ReadSourceFile(const std::string& folder, Value& fields) {
  for (Value::Entry& entry : fields.entries) {
    if (entry.key != "process" || !entry.value.is_map()) continue;
    ASSIGN_OR_RETURN(const auto path, TakeText(entry.value, "sourceFile"));
    if (!path) continue;
    if (entry.value.Find("source") != nullptr) {
      return ErrorAt(path->place, "process.sourceFile: excludes process.source: give one");
    }
    const std::filesystem::path file = std::filesystem::path(folder) / path->text;
    std::ifstream no_input;
    const auto text = ReadInput(file.string(), no_input);
    if (!text.ok()) {
      return ErrorAt(path->place,
                     fmt::format("process.sourceFile: {}", std::string(text.status().message())));
    }
    entry.value.Add("source", Value::Scalar(*text, /*quoted=*/true));
  }
  return absl::OkStatus();
}

absl::StatusOr<Document> MakeDocument(Value root, const std::string& folder,
                                      std::string_view default_space,
                                      std::optional<Kind> default_kind) {
  ASSIGN_OR_RETURN(Envelope envelope, Open(std::move(root)));
  Document document;
  document.place = envelope.place.ToString();
  ASSIGN_OR_RETURN(document.kind, KindOf(envelope, default_kind));
  RETURN_IF_ERROR(NameDocument(envelope, default_space, &document));
  RETURN_IF_ERROR(ReadSourceFile(folder, envelope.fields));
  if (document.kind == Kind::kFunction) {
    document.resource = std::make_unique<functions::v1::Function>();
  } else {
    document.resource = std::make_unique<events::v1::Subscription>();
  }
  const absl::Status parsed =
      protojson::ParseJson(ValueToJson(envelope.fields), document.resource.get());
  if (!parsed.ok()) {
    const auto violations = FieldViolationsOf(parsed);
    const Place place =
        violations.empty() ? envelope.place : FindPlace(envelope.fields, violations[0].field);
    return ErrorAt(place.line > 0 ? place : envelope.place, std::string(parsed.message()));
  }
  const auto* const name_field = document.resource->GetDescriptor()->FindFieldByName("name");
  document.resource->GetReflection()->SetString(
      document.resource.get(), name_field,
      FullName(document.space, CollectionOf(document.kind), document.id));
  return document;
}

// The documents of a YAML stream, each with as many empty lines in front as there were lines before
// it, so that places keep their line. A line that begins with "---" can be nothing else in YAML.
std::vector<std::string> SplitStream(std::string_view text) {
  std::vector<std::string> parts(1);
  std::size_t lines = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
    const std::string_view line = text.substr(0, end);
    const bool is_marker =
        line.starts_with("---") &&
        (line.size() == 3 || std::string_view(" \t\r\n").find(line[3]) != std::string_view::npos);
    if (is_marker) {
      parts.emplace_back(lines, '\n');
      if (line.find_first_not_of(" \t\r\n", 3) != std::string_view::npos) {
        parts.back() += line;
      } else {
        parts.back() += '\n';
      }
    } else {
      parts.back() += line;
    }
    ++lines;
    text.remove_prefix(end);
  }
  return parts;
}

bool IsJsonNumber(std::string_view text) {
  if (text.empty() || (text[0] != '-' && (text[0] < '0' || text[0] > '9'))) return false;
  return protojson::IsValidJson(text);
}

void AppendJson(const Value& value, protojson::JsonWriter& writer) {
  switch (value.kind) {
    case Value::Kind::kNull: writer.Null(); return;
    case Value::Kind::kScalar:
      if (value.quoted) return writer.String(value.text);
      if (value.text.empty() || value.text == "~" || value.text == "null") return writer.Null();
      if (value.text == "true" || value.text == "false") return writer.Bool(value.text == "true");
      if (IsJsonNumber(value.text)) return writer.RawJson(value.text);
      writer.String(value.text);
      return;
    case Value::Kind::kList:
      writer.BeginArray();
      for (const Value& item : value.items) AppendJson(item, writer);
      writer.EndArray();
      return;
    case Value::Kind::kMap:
      writer.BeginObject();
      for (const Value::Entry& entry : value.entries) {
        writer.Key(entry.key);
        AppendJson(entry.value, writer);
      }
      writer.EndObject();
      return;
  }
}

void AddDocument(Value root, const std::string& folder, std::string_view default_space,
                 std::optional<Kind> default_kind, Documents* out) {
  auto document = MakeDocument(std::move(root), folder, default_space, default_kind);
  if (document.ok()) {
    out->documents.push_back(*std::move(document));
  } else {
    out->errors.push_back(document.status());
  }
}

}  // namespace

std::string_view KindName(Kind kind) {
  return kind == Kind::kFunction ? "Function" : "Subscription";
}

std::string_view CollectionOf(Kind kind) {
  return kind == Kind::kFunction ? "functions" : "subscriptions";
}

std::string Document::Label(std::string_view default_space) const {
  if (space == default_space) return fmt::format("{} {}", KindName(kind), id);
  return fmt::format("{} {} in space {}", KindName(kind), id, space);
}

void ParseDocuments(std::string_view text, const std::string& source, const std::string& folder,
                    std::string_view default_space, Documents* out,
                    std::optional<Kind> default_kind) {
  for (const std::string& part : SplitStream(text)) {
    config::Problems problems;
    Value root = config::ParseYaml(part, source, problems);
    for (const config::Problem& problem : problems.all()) {
      out->errors.push_back(absl::InvalidArgumentError(problem.ToString()));
    }
    if (!problems.empty() || root.is_null()) continue;
    if (!root.is_list()) {
      AddDocument(std::move(root), folder, default_space, default_kind, out);
      continue;
    }
    for (Value& item : root.items) {
      AddDocument(std::move(item), folder, default_space, default_kind, out);
    }
  }
}

absl::Status LoadDocuments(const std::string& path, std::istream& in,
                           std::string_view default_space, Documents* out) {
  namespace fs = std::filesystem;
  std::error_code error;
  if (path == "-" || !fs::is_directory(path, error)) {
    ASSIGN_OR_RETURN(const std::string text, ReadInput(path, in));
    const std::string folder = path == "-" ? "." : fs::path(path).parent_path().string();
    ParseDocuments(text, path == "-" ? "standard input" : path, folder, default_space, out);
    return absl::OkStatus();
  }
  std::vector<std::string> files;
  for (const auto& entry : fs::directory_iterator(path, error)) {
    const std::string ending = entry.path().extension().string();
    if (ending == ".yaml" || ending == ".yml" || ending == ".json") {
      files.push_back(entry.path().string());
    }
  }
  if (error) return absl::InvalidArgumentError(fmt::format("{}: {}", path, error.message()));
  std::sort(files.begin(), files.end());
  if (files.empty()) {
    return absl::InvalidArgumentError(fmt::format("{}: holds no .yaml, .yml or .json file", path));
  }
  for (const std::string& file : files) {
    ASSIGN_OR_RETURN(const std::string text, ReadInput(file, in));
    ParseDocuments(text, file, path, default_space, out);
  }
  return absl::OkStatus();
}

std::string ValueToJson(const Value& value) {
  std::string json;
  protojson::JsonWriter writer(&json);
  AppendJson(value, writer);
  return json;
}

Place FindPlace(const Value& root, std::string_view path) {
  const Value* value = &root;
  Place place = root.place;
  while (!path.empty()) {
    if (path[0] == '.') path.remove_prefix(1);
    if (path.starts_with('[') && !path.starts_with("[\"")) {
      std::size_t index = 0;
      const std::size_t end = std::min(path.find(']'), path.size() - 1);
      std::from_chars(path.data() + 1, path.data() + end, index);
      if (index >= value->items.size()) return place;
      value = &value->items[index];
      place = value->place;
      path.remove_prefix(end + 1);
      continue;
    }
    const bool is_quoted = path.starts_with("[\"");
    if (is_quoted) path.remove_prefix(2);
    const std::size_t end =
        std::min(is_quoted ? path.find("\"]") : path.find_first_of(".["), path.size());
    const std::string_view key = path.substr(0, end);
    const auto found = std::find_if(value->entries.begin(), value->entries.end(),
                                    [&](const Value::Entry& entry) { return entry.key == key; });
    if (found == value->entries.end()) return place;
    value = &found->value;
    place = found->key_place;
    path.remove_prefix(std::min(end + (is_quoted ? 2 : 0), path.size()));
  }
  return place;
}

}  // namespace penstock::cli
