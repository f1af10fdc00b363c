#include "tools/penstock/commands/register.h"

namespace penstock::cli {

void AddClientCommands(Cli& cli) {
  AddFunctionCommands(cli);
  AddSubscriptionCommands(cli);
  AddEmitCommand(cli);
  AddEventCommands(cli);
  AddExecutionCommands(cli);
  AddDeadLetterCommands(cli);
  AddDocumentCommands(cli);
  AddStatusCommand(cli);
  AddToolCommands(cli);
}

}  // namespace penstock::cli
