// The commands that speak to a server, each file's part by name.
#pragma once

#include "tools/penstock/commands/cli.h"

namespace penstock::cli {

// Adds all of the below.
void AddClientCommands(Cli& cli);

// `function create|list|get|update|delete|invoke|logs`.
void AddFunctionCommands(Cli& cli);
void AddInvokeCommand(Cli& cli, CLI::App* function);
void AddLogsCommand(Cli& cli, CLI::App* function);
// `function deploy`.
void AddDeployCommand(Cli& cli, CLI::App* function);
// `function versions|traffic|rollback|alias`.
void AddVersionCommands(Cli& cli, CLI::App* function);
// `secret set|list|delete|rotate-key`.
void AddSecretCommands(Cli& cli);
// `middleware get|set`.
void AddMiddlewareCommands(Cli& cli);
// `subscription create|update|list|get|status|pause|resume|drain|delete`.
void AddSubscriptionCommands(Cli& cli);
// `replay start|list|get|pause|resume|cancel`.
void AddReplayCommands(Cli& cli);
// `emit`, and `events list|get|tail|explain|pull` and `events scheduled list|get|cancel`.
void AddEmitCommand(Cli& cli);
void AddEventCommands(Cli& cli);
// `deadletters list|get|edit|redrive|purge`.
void AddDeadLetterCommands(Cli& cli);
// `executions list|get|tail`.
void AddExecutionCommands(Cli& cli);
// `apply` and `delete`.
void AddDocumentCommands(Cli& cli);
// `log verify|dump|repair`, on a data folder.
void AddLogFolderCommands(Cli& cli);
// `backup`, of a data folder.
void AddBackupCommand(Cli& cli);
// `status`.
void AddStatusCommand(Cli& cli);
// `completion` and `version`.
void AddToolCommands(Cli& cli);

}  // namespace penstock::cli
