#include "tools/penstock/commands/context.h"

#include <fmt/format.h>
#include <unistd.h>

#include <iostream>

#include "libs/base/status.h"
#include "libs/protojson/protojson.h"
#include "tools/penstock/input/values.h"
#include "tools/penstock/output/yaml_text.h"

namespace penstock::cli {

Io ProcessIo() {
  return {.in = std::cin,
          .out = std::cout,
          .err = std::cerr,
          .is_err_terminal = isatty(STDERR_FILENO) == 1};
}

Client& Context::client() {
  if (client_ == nullptr) {
    ClientOptions made;
    made.server = options.server;
    const bool has_files =
        !options.tls_ca.empty() || !options.tls_certificate.empty() || !options.tls_key.empty();
    if (options.has_tls || has_files) {
      made.tls = {options.tls_ca, options.tls_certificate, options.tls_key};
    }
    made.token = options.token;
    if (timeout) made.timeout = *timeout;
    client_ = std::make_unique<Client>(std::move(made));
  }
  return *client_;
}

std::string Context::Parent() const { return "spaces/" + options.space; }

std::string Context::NameOf(std::string_view collection, std::string_view id) const {
  return FullName(options.space, collection, id);
}

Format Context::FormatOr(Format fallback) const {
  if (options.output == "json") return Format::kJson;
  if (options.output == "yaml") return Format::kYaml;
  if (options.output == "table") return Format::kTable;
  return fallback;
}

absl::Status Context::Print(const google::protobuf::Message& message, Format format) {
  ASSIGN_OR_RETURN(const std::string json, protojson::PrintJson(message, {.pretty = true}));
  return PrintJson(json, format);
}

absl::Status Context::PrintJson(const std::string& json, Format format) {
  if (format != Format::kYaml) {
    io.out << json << "\n";
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const std::string yaml, JsonToYaml(json));
  io.out << yaml;
  return absl::OkStatus();
}

void Context::Print(const Table& table, std::string_view empty_note) {
  if (table.empty()) {
    io.err << empty_note << "\n";
  } else {
    io.out << table.ToString();
  }
}

absl::Status Context::PrintOne(const google::protobuf::Message& message, const Table& table) {
  const Format format = FormatOr(Format::kYaml);
  if (format != Format::kTable) return Print(message, format);
  io.out << table.ToString();
  return absl::OkStatus();
}

}  // namespace penstock::cli
