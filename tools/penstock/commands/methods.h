// The methods that the commands call.
#pragma once

namespace penstock::cli {

inline constexpr char kCreateFunction[] =
    "/penstock.functions.v1.FunctionManagerService/CreateFunction";
inline constexpr char kGetFunction[] = "/penstock.functions.v1.FunctionManagerService/GetFunction";
inline constexpr char kListFunctions[] =
    "/penstock.functions.v1.FunctionManagerService/ListFunctions";
inline constexpr char kUpdateFunction[] =
    "/penstock.functions.v1.FunctionManagerService/UpdateFunction";
inline constexpr char kDeleteFunction[] =
    "/penstock.functions.v1.FunctionManagerService/DeleteFunction";
inline constexpr char kUploadSource[] =
    "/penstock.functions.v1.FunctionManagerService/UploadSource";
inline constexpr char kDownloadSource[] =
    "/penstock.functions.v1.FunctionManagerService/DownloadSource";
inline constexpr char kListFunctionVersions[] =
    "/penstock.functions.v1.FunctionManagerService/ListFunctionVersions";
inline constexpr char kSetTraffic[] = "/penstock.functions.v1.FunctionManagerService/SetTraffic";
inline constexpr char kRollbackFunction[] =
    "/penstock.functions.v1.FunctionManagerService/RollbackFunction";
inline constexpr char kSetFunctionAlias[] =
    "/penstock.functions.v1.FunctionManagerService/SetFunctionAlias";
inline constexpr char kDeleteFunctionAlias[] =
    "/penstock.functions.v1.FunctionManagerService/DeleteFunctionAlias";
inline constexpr char kListFunctionAliases[] =
    "/penstock.functions.v1.FunctionManagerService/ListFunctionAliases";
inline constexpr char kGetSpaceMiddleware[] =
    "/penstock.functions.v1.FunctionManagerService/GetSpaceMiddleware";
inline constexpr char kUpdateSpaceMiddleware[] =
    "/penstock.functions.v1.FunctionManagerService/UpdateSpaceMiddleware";
inline constexpr char kCreateSecret[] =
    "/penstock.functions.v1.FunctionManagerService/CreateSecret";
inline constexpr char kListSecrets[] = "/penstock.functions.v1.FunctionManagerService/ListSecrets";
inline constexpr char kUpdateSecret[] =
    "/penstock.functions.v1.FunctionManagerService/UpdateSecret";
inline constexpr char kDeleteSecret[] =
    "/penstock.functions.v1.FunctionManagerService/DeleteSecret";
inline constexpr char kRotateSecretKey[] =
    "/penstock.functions.v1.FunctionManagerService/RotateSecretKey";

inline constexpr char kInvoke[] = "/penstock.executions.v1.FunctionExecutorService/Invoke";
inline constexpr char kBatchInvoke[] =
    "/penstock.executions.v1.FunctionExecutorService/BatchInvoke";
inline constexpr char kInvokeAsync[] =
    "/penstock.executions.v1.FunctionExecutorService/InvokeAsync";
inline constexpr char kCancelExecution[] =
    "/penstock.executions.v1.FunctionExecutorService/CancelExecution";
inline constexpr char kGetExecution[] =
    "/penstock.executions.v1.FunctionExecutorService/GetExecution";
inline constexpr char kListExecutions[] =
    "/penstock.executions.v1.FunctionExecutorService/ListExecutions";
inline constexpr char kTailExecutions[] =
    "/penstock.executions.v1.FunctionExecutorService/TailExecutions";

inline constexpr char kPublish[] = "/penstock.events.v1.EventBrokerService/Publish";
inline constexpr char kPublishBatch[] = "/penstock.events.v1.EventBrokerService/PublishBatch";
inline constexpr char kReadEvents[] = "/penstock.events.v1.EventBrokerService/ReadEvents";
inline constexpr char kTailEvents[] = "/penstock.events.v1.EventBrokerService/TailEvents";
inline constexpr char kGetEvent[] = "/penstock.events.v1.EventBrokerService/GetEvent";
inline constexpr char kExplainEvent[] = "/penstock.events.v1.EventBrokerService/ExplainEvent";
inline constexpr char kSubscribe[] = "/penstock.events.v1.EventBrokerService/Subscribe";
inline constexpr char kListScheduledEvents[] =
    "/penstock.events.v1.EventBrokerService/ListScheduledEvents";
inline constexpr char kGetScheduledEvent[] =
    "/penstock.events.v1.EventBrokerService/GetScheduledEvent";
inline constexpr char kCancelScheduledEvent[] =
    "/penstock.events.v1.EventBrokerService/CancelScheduledEvent";

inline constexpr char kCreateSubscription[] =
    "/penstock.events.v1.EventCatalogService/CreateSubscription";
inline constexpr char kGetSubscription[] =
    "/penstock.events.v1.EventCatalogService/GetSubscription";
inline constexpr char kListSubscriptions[] =
    "/penstock.events.v1.EventCatalogService/ListSubscriptions";
inline constexpr char kUpdateSubscription[] =
    "/penstock.events.v1.EventCatalogService/UpdateSubscription";
inline constexpr char kDeleteSubscription[] =
    "/penstock.events.v1.EventCatalogService/DeleteSubscription";
inline constexpr char kPauseSubscription[] =
    "/penstock.events.v1.EventCatalogService/PauseSubscription";
inline constexpr char kResumeSubscription[] =
    "/penstock.events.v1.EventCatalogService/ResumeSubscription";
inline constexpr char kDrainSubscription[] =
    "/penstock.events.v1.EventCatalogService/DrainSubscription";
inline constexpr char kGetSubscriptionStatus[] =
    "/penstock.events.v1.EventCatalogService/GetSubscriptionStatus";
inline constexpr char kReplaySubscription[] =
    "/penstock.events.v1.EventCatalogService/ReplaySubscription";
inline constexpr char kListReplays[] = "/penstock.events.v1.EventCatalogService/ListReplays";
inline constexpr char kGetReplay[] = "/penstock.events.v1.EventCatalogService/GetReplay";
inline constexpr char kPauseReplay[] = "/penstock.events.v1.EventCatalogService/PauseReplay";
inline constexpr char kResumeReplay[] = "/penstock.events.v1.EventCatalogService/ResumeReplay";
inline constexpr char kCancelReplay[] = "/penstock.events.v1.EventCatalogService/CancelReplay";
inline constexpr char kListDeadLetters[] =
    "/penstock.events.v1.EventCatalogService/ListDeadLetters";
inline constexpr char kGetDeadLetter[] = "/penstock.events.v1.EventCatalogService/GetDeadLetter";
inline constexpr char kUpdateDeadLetter[] =
    "/penstock.events.v1.EventCatalogService/UpdateDeadLetter";
inline constexpr char kRedriveDeadLetters[] =
    "/penstock.events.v1.EventCatalogService/RedriveDeadLetters";
inline constexpr char kPurgeDeadLetters[] =
    "/penstock.events.v1.EventCatalogService/PurgeDeadLetters";

inline constexpr char kHealthCheck[] = "/grpc.health.v1.Health/Check";

}  // namespace penstock::cli
