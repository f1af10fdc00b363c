#include "tools/penstock/commands/register.h"

namespace penstock::cli {

void AddClientCommands(Cli& cli) {
  AddFunctionCommands(cli);
  AddSecretCommands(cli);
  AddMiddlewareCommands(cli);
  AddSubscriptionCommands(cli);
  AddReplayCommands(cli);
  AddEmitCommand(cli);
  AddEventCommands(cli);
  AddExecutionCommands(cli);
  AddDeadLetterCommands(cli);
  AddDocumentCommands(cli);
  AddLogFolderCommands(cli);
  AddBackupCommand(cli);
  AddStatusCommand(cli);
  AddToolCommands(cli);
}

}  // namespace penstock::cli
