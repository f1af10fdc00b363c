// Holds the jq programs of middleware against the compiler before they are stored.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"

namespace penstock::functions {

// Thread-safe. What it is given must outlive it and the checks that run.
class ProgramChecks {
 public:
  // INVALID_ARGUMENT naming `field` for a program that cannot be used. May block.
  using Compile = std::function<absl::Status(std::string_view field, std::string_view program)>;
  // Runs work on a thread that may block; false when there is no room for it.
  using Post = std::function<bool(std::function<void()>)>;
  using Done = std::function<void(const absl::Status&)>;

  ProgramChecks(Compile compile, Post post)
      : compile_(std::move(compile)), post_(std::move(post)) {}

  // Compiles the programs of `steps`, a JSON array of messages `penstock.functions.v1.Middleware`
  // (or empty for none), up to the first that is wrong; its field is a path below `field`. `done`
  // runs once: in this call when there are no programs, else on a thread of `post`.
  // RESOURCE_EXHAUSTED when too many wait.
  void Check(std::string_view field, const std::string& steps, const Done& done) const;

 private:
  const Compile compile_;
  const Post post_;
};

}  // namespace penstock::functions
