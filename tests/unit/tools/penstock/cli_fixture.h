// Runs the command-line client in the test's process.
#pragma once

#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

#include "tests/unit/tools/penstock/fake_server.h"
#include "tools/penstock/commands/cli.h"
#include "tools/penstock/commands/register.h"

namespace penstock::cli {

struct Result {
  int code = 0;
  std::string out;
  std::string err;
};

// One run of the program with these arguments and this standard input.
inline Result RunProgram(const std::vector<std::string>& arguments, const std::string& input = "") {
  std::istringstream in(input);
  std::ostringstream out;
  std::ostringstream err;
  Io io{.in = in, .out = out, .err = err};
  Cli program(io, SystemClock());
  AddClientCommands(program);
  std::vector<const char*> argv = {"penstock"};
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());
  Result result;
  result.code = program.Run(static_cast<int>(argv.size()), argv.data());
  result.out = out.str();
  result.err = err.str();
  return result;
}

// A server of its own for each test.
class CliTest : public testing::Test {
 protected:
  Result Run(std::vector<std::string> arguments, const std::string& input = "") {
    arguments.insert(arguments.begin(), {"--server", server_.address()});
    return RunProgram(arguments, input);
  }

  FakeServer server_;
};

}  // namespace penstock::cli
