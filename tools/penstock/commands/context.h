// What a command works with.
#pragma once

#include <google/protobuf/message.h>

#include <chrono>
#include <istream>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "libs/base/time.h"
#include "tools/penstock/client/client.h"
#include "tools/penstock/output/table.h"

namespace penstock::cli {

// The streams of the process, or a test's.
struct Io {
  std::istream& in;
  std::ostream& out;
  std::ostream& err;
  // Whether a person watches `err`.
  bool is_err_terminal = false;
};

// Standard input, output and error.
Io ProcessIo();

// The flags that every command has.
struct GlobalOptions {
  std::string server = "127.0.0.1:8082";
  std::string space = "default";
  bool has_tls = false;
  // PEM files; any of them means TLS.
  std::string tls_ca;
  std::string tls_certificate;
  std::string tls_key;
  std::string token;
  std::string timeout;
  // "table", "json", "yaml"; empty: what suits the command.
  std::string output;
  bool is_verbose = false;
};

enum class Format { kTable, kJson, kYaml };

// Made for one run of one command. One thread uses it.
class Context {
 public:
  // What is given must outlive it.
  Context(const GlobalOptions& options, Io& io, const Clock& clock,
          std::optional<std::chrono::milliseconds> timeout)
      : options(options), io(io), clock(clock), timeout(timeout) {}

  const GlobalOptions& options;
  Io& io;
  const Clock& clock;
  // What --timeout says, when it was given.
  const std::optional<std::chrono::milliseconds> timeout;
  // What the program exits with when the command returns OK.
  int exit_code = 0;

  // The connection, made at its first use.
  Client& client();

  // "spaces/<space>".
  std::string Parent() const;
  // `id` in the space, or `id` itself when it is a full name.
  std::string NameOf(std::string_view collection, std::string_view id) const;

  // The format that was asked for, else `fallback`.
  Format FormatOr(Format fallback) const;

  // Prints a message as JSON or YAML.
  absl::Status Print(const google::protobuf::Message& message, Format format);
  // Prints JSON text as JSON (as it is) or YAML.
  absl::Status PrintJson(const std::string& json, Format format);
  // Prints a table, or to standard error `empty_note` when it has no rows.
  void Print(const Table& table, std::string_view empty_note);
  // Prints a resource: a row under headers as a table, else the whole message. YAML is the default.
  absl::Status PrintOne(const google::protobuf::Message& message, const Table& table);

 private:
  std::unique_ptr<Client> client_;
};

}  // namespace penstock::cli
