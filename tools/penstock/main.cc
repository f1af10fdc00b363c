// penstock: the command-line client, and the whole suite in one process with `penstock up`.
#include <iostream>

#include "tools/penstock/commands/cli.h"
#include "tools/penstock/commands/register.h"
#include "tools/penstock/up/up_command.h"

int main(int argc, char** argv) {
  using namespace penstock;
  cli::Io io = cli::ProcessIo();
  cli::Cli program(io, SystemClock());
  cli::AddClientCommands(program);
  cli::AddUpCommand(program);
  return program.Run(argc, argv);
}
