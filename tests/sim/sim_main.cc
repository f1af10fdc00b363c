// Runs seeds of the simulation.
#include <fmt/format.h>

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libs/log/log.h"
#include "tests/sim/scenario.h"

namespace penstock::broker::sim {
namespace {

constexpr char kUsage[] =
    "usage: sim_test [--seeds A..B | --seed N [--trace]] [--flaw NAME | --flaws] [--digests]\n"
    "  --seeds A..B   runs them all; default 1..1000\n"
    "  --seed N       runs one, and --trace prints everything that happened\n"
    "  --flaw NAME    with this rule taken out: succeeds when a seed notices\n"
    "  --flaws        each rule in turn, up to 100 seeds\n"
    "  --digests      prints a line for each seed\n";

struct Options {
  std::uint64_t first = 1;
  std::uint64_t last = 1000;
  bool trace = false;
  bool digests = false;
  bool all_flaws = false;
  Flaw flaw = Flaw::kNone;
};

std::optional<std::uint64_t> ParseNumber(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

bool ParseSeeds(std::string_view text, Options& options) {
  const std::size_t dots = text.find("..");
  const auto first = ParseNumber(text.substr(0, dots));
  const auto last = dots == std::string_view::npos ? first : ParseNumber(text.substr(dots + 2));
  if (!first || !last || *first > *last) return false;
  options.first = *first;
  options.last = *last;
  return true;
}

bool ParseFlaw(std::string_view text, Options& options) {
  for (const NamedFlaw& named : kFlaws) {
    if (named.name == text) options.flaw = named.flaw;
  }
  return options.flaw != Flaw::kNone;
}

std::optional<Options> Parse(const std::vector<std::string_view>& arguments) {
  Options options;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view name = arguments[i];
    const std::string_view value = i + 1 < arguments.size() ? arguments[i + 1] : "";
    if (name == "--trace") {
      options.trace = true;
    } else if (name == "--digests") {
      options.digests = true;
    } else if (name == "--flaws") {
      options.all_flaws = true;
    } else if ((name == "--seeds" || name == "--seed") && ParseSeeds(value, options)) {
      ++i;
    } else if (name == "--flaw" && ParseFlaw(value, options)) {
      ++i;
    } else {
      return std::nullopt;
    }
  }
  return options;
}

// 0 when every seed keeps every promise.
int RunSeeds(const Options& options) {
  std::uint64_t failed = 0;
  std::uint64_t calls = 0;
  std::uint64_t records = 0;
  std::int64_t crashes = 0;
  std::uint64_t digest = 0;
  for (std::uint64_t seed = options.first; seed <= options.last; ++seed) {
    const RunResult result = RunSeed(seed, options.flaw, options.trace);
    digest = digest * 31 + result.digest;
    calls += result.calls;
    records += result.records;
    crashes += result.crashes;
    if (options.digests) fmt::print("seed {} digest {:016x}\n", seed, result.digest);
    if (result.violation.empty()) continue;
    ++failed;
    fmt::print("seed {} failed: {}\n  replay it: sim_test --seed {} --trace\n", seed,
               result.violation, seed);
    std::fflush(stdout);
  }
  fmt::print("seeds={} failed={} records={} calls={} crashes={} digest={:016x}\n",
             options.last - options.first + 1, failed, records, calls, crashes, digest);
  return failed == 0 ? 0 : 1;
}

// The first seed that notices, up to 100 of them.
std::optional<std::uint64_t> FindsFlaw(Flaw flaw, std::string& violation) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    violation = RunSeed(seed, flaw, false).violation;
    if (!violation.empty()) return seed;
  }
  return std::nullopt;
}

int RunFlaws(const Options& options) {
  int missed = 0;
  for (const NamedFlaw& named : kFlaws) {
    if (options.flaw != Flaw::kNone && options.flaw != named.flaw) continue;
    std::string violation;
    const auto seed = FindsFlaw(named.flaw, violation);
    if (seed) {
      fmt::print("{}: seed {} notices: {}\n", named.name, *seed, violation);
    } else {
      ++missed;
      fmt::print("{}: NOT NOTICED by 100 seeds\n", named.name);
    }
    std::fflush(stdout);
  }
  return missed == 0 ? 0 : 1;
}

int Main(const std::vector<std::string_view>& arguments) {
  const auto options = Parse(arguments);
  if (!options) {
    fmt::print(stderr, "{}", kUsage);
    return 2;
  }
  // Faults are the rule here: what they make the broker say is not of interest.
  log::SetLevel(log::Level::kOff);
  const bool one = options->first == options->last;
  if (options->all_flaws || (options->flaw != Flaw::kNone && !one)) return RunFlaws(*options);
  return RunSeeds(*options);
}

}  // namespace
}  // namespace penstock::broker::sim

int main(int argc, char** argv) { return penstock::broker::sim::Main({argv + 1, argv + argc}); }
