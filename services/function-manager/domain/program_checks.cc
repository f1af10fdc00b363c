#include "services/function-manager/domain/program_checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json/parse.hpp>
#include <cstddef>
#include <utility>
#include <vector>

#include "libs/base/status.h"

namespace penstock::functions {
namespace {

namespace json = boost::json;

// As many steps as a list may have; a longer one is refused elsewhere.
constexpr std::size_t kStepsMax = 16;

struct Program {
  std::string field;
  std::string text;
};

// What is no transformation, or none that can be read, is another check's.
std::vector<Program> ProgramsOf(std::string_view field, const std::string& steps) {
  std::vector<Program> programs;
  json::error_code error;
  const json::value value = json::parse(steps, error);
  if (error || !value.is_array()) return programs;
  constexpr std::array<std::string_view, 2> kNames = {"before", "after"};
  const json::array& list = value.as_array();
  for (std::size_t i = 0; i < std::min(list.size(), kStepsMax); ++i) {
    const json::value* const transform =
        list[i].is_object() ? list[i].as_object().if_contains("transform") : nullptr;
    if (transform == nullptr || !transform->is_object()) continue;
    for (const std::string_view name : kNames) {
      const json::value* const text =
          transform->as_object().if_contains({name.data(), name.size()});
      if (text == nullptr || !text->is_string() || text->as_string().empty()) continue;
      programs.push_back(
          {fmt::format("{}[{}].transform.{}", field, i, name), std::string(text->as_string())});
    }
  }
  return programs;
}

}  // namespace

void ProgramChecks::Check(std::string_view field, const std::string& steps,
                          const Done& done) const {
  std::vector<Program> programs = steps.empty() ? std::vector<Program>() : ProgramsOf(field, steps);
  if (programs.empty()) return done(absl::OkStatus());
  const bool is_posted = post_([this, programs = std::move(programs), done] {
    for (const Program& program : programs) {
      const absl::Status status = compile_(program.field, program.text);
      if (!status.ok()) return done(status);
    }
    done(absl::OkStatus());
  });
  if (is_posted) return;
  done(WithRetryAfter(absl::ResourceExhaustedError("too many jq programs wait to be compiled"),
                      absl::Seconds(1)));
}

}  // namespace penstock::functions
