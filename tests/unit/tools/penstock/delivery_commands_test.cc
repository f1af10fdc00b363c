// The commands about how events are delivered.
#include <algorithm>

#include "tests/unit/tools/penstock/cli_fixture.h"

namespace penstock::cli {
namespace {

namespace pb = events::v1;

bool Has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::vector<std::string> SortedPaths(const pb::UpdateSubscriptionRequest& request) {
  std::vector<std::string> paths(request.update_mask().paths().begin(),
                                 request.update_mask().paths().end());
  std::sort(paths.begin(), paths.end());
  return paths;
}

TEST_F(CliTest, ASubscriptionTakesEveryDeliveryFlag) {
  const Result result = Run({"subscription",
                             "create",
                             "s1",
                             "--event-type",
                             "order.*",
                             "--function",
                             "bill",
                             "--order-by",
                             "subject",
                             "--on-exhausted",
                             "dead-letter-key",
                             "--max-held",
                             "50",
                             "--rate",
                             "100",
                             "--burst",
                             "200",
                             "--max-attempts",
                             "7",
                             "--retry-schedule",
                             "1s,10s,5m",
                             "--retry-max-age",
                             "1h",
                             "--dead-letter-type",
                             "order.lost",
                             "--ttl",
                             "10m",
                             "--timeout",
                             "3s",
                             "--from",
                             "17"});
  EXPECT_EQ(result.code, 0) << result.err;
  const auto& made = server_.catalog.created.subscription();
  EXPECT_EQ(made.ordering().by(), "subject");
  EXPECT_EQ(made.ordering().on_exhausted(), pb::Ordering::DEAD_LETTER_KEY);
  EXPECT_EQ(made.ordering().max_held(), 50);
  EXPECT_EQ(made.rate_limit().events_per_second(), 100);
  EXPECT_EQ(made.rate_limit().burst(), 200);
  EXPECT_EQ(made.retry().max_attempts(), 7);
  EXPECT_EQ(made.retry().backoff(), pb::RetryPolicy::SCHEDULE);
  ASSERT_EQ(made.retry().schedule_size(), 3);
  EXPECT_EQ(made.retry().schedule(2).seconds(), 300);
  EXPECT_EQ(made.retry().max_age().seconds(), 3600);
  EXPECT_EQ(made.dead_letter_sink().event_type(), "order.lost");
  EXPECT_EQ(made.time_to_live().seconds(), 600);
  EXPECT_EQ(made.timeout().seconds(), 3);
  EXPECT_EQ(made.start().sequence(), 17);
}

TEST_F(CliTest, StartsAreEarliestNowSequencesAndTimes) {
  const auto start_of = [this](const std::string& from) {
    const Result result = Run({"subscription", "create", "s-" + from.substr(0, 3), "--type", "a",
                               "--function", "f", "--from", from});
    EXPECT_EQ(result.code, 0) << result.err;
    return server_.catalog.created.subscription();
  };
  EXPECT_TRUE(start_of("earliest").start().earliest());
  EXPECT_FALSE(start_of("now").has_start());
  EXPECT_EQ(start_of("2026-01-02T03:04:05Z").start().time().seconds(), 1'767'323'045);
  EXPECT_GT(start_of("10m").start().time().seconds(), 0);
  EXPECT_EQ(
      Run({"subscription", "create", "s", "--type", "a", "--function", "f", "--from", "soon"}).code,
      2);
}

TEST_F(CliTest, ASubscriptionHasOneKindOfTarget) {
  EXPECT_EQ(Run({"subscription", "create", "s", "--type", "a"}).code, 2);
  EXPECT_EQ(Run({"subscription", "create", "s", "--type", "a", "--function", "f", "--pull"}).code,
            2);
  EXPECT_EQ(
      Run({"subscription", "create", "p", "--type", "a", "--pull", "--ack-timeout", "1m"}).code, 0);
  EXPECT_EQ(server_.catalog.created.subscription().pull().ack_timeout().seconds(), 60);
  const Result group = Run({"subscription", "create", "g", "--type", "a", "--group-strategy",
                            "first-success", "--functions", "a,b", "--functions", "c"});
  EXPECT_EQ(group.code, 0) << group.err;
  EXPECT_TRUE(Has(group.out, "(a -> a,b,c)")) << group.out;
  EXPECT_EQ(server_.catalog.created.subscription().group().strategy(),
            pb::SubscriberGroup::FIRST_SUCCESS);
}

TEST_F(CliTest, AnUpdateChangesOnlyWhatIsGiven) {
  ASSERT_EQ(Run({"subscription", "create", "s1", "--type", "a", "--function", "f", "--rate", "5",
                 "--max-attempts", "3", "--retry-delay", "2s"})
                .code,
            0);
  const Result result =
      Run({"subscription", "update", "s1", "--max-attempts", "9", "--clear", "rate-limit"});
  EXPECT_EQ(result.code, 0) << result.err;
  const auto& request = server_.catalog.updated;
  EXPECT_EQ(SortedPaths(request), (std::vector<std::string>{"rate_limit", "retry"}));
  EXPECT_EQ(request.subscription().retry().max_attempts(), 9);
  EXPECT_EQ(request.subscription().retry().initial_delay().seconds(), 2);
  EXPECT_FALSE(request.subscription().has_rate_limit());
  EXPECT_EQ(request.subscription().etag(), "1");
  EXPECT_EQ(Run({"subscription", "update", "s1"}).code, 2);
  EXPECT_EQ(Run({"subscription", "update", "s1", "--clear", "everything"}).code, 2);
}

TEST_F(CliTest, AScheduleTakesThePlaceOfAGrowingDelayAndBack) {
  ASSERT_EQ(Run({"subscription", "create", "s1", "--type", "a", "--function", "f", "--retry-delay",
                 "2s", "--retry-backoff", "linear"})
                .code,
            0);
  ASSERT_EQ(Run({"subscription", "update", "s1", "--retry-schedule", "1s,2s"}).code, 0);
  EXPECT_FALSE(server_.catalog.updated.subscription().retry().has_initial_delay());
  ASSERT_EQ(Run({"subscription", "update", "s1", "--retry-delay", "3s"}).code, 0);
  EXPECT_EQ(server_.catalog.updated.subscription().retry().schedule_size(), 0);
  EXPECT_EQ(server_.catalog.updated.subscription().retry().backoff(),
            pb::RetryPolicy::BACKOFF_UNSPECIFIED);
  EXPECT_EQ(
      Run({"subscription", "update", "s1", "--retry-schedule", "1s", "--retry-delay", "1s"}).code,
      2);
}

TEST_F(CliTest, StatusAsATableNamesWhatIsWrong) {
  const Result result = Run({"subscription", "status", "s1", "-o", "table"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_TRUE(Has(result.out, "half open")) << result.out;
  EXPECT_TRUE(Has(result.out, "KEY_BACKLOG customer-7")) << result.out;
  EXPECT_TRUE(Has(Run({"subscription", "drain", "s1"}).out, "DRAINING"));
}

TEST_F(CliTest, AReplayCountsFirstAndIsWatchedToItsEnd) {
  const Result counted = Run({"replay", "start", "s1", "--from", "100", "--to", "1m", "--dry-run"});
  EXPECT_EQ(counted.code, 0) << counted.err;
  EXPECT_TRUE(Has(counted.out, "42 events match")) << counted.out;
  EXPECT_EQ(server_.catalog.replayed.from_sequence(), 100);
  EXPECT_TRUE(server_.catalog.replayed.has_to_time());
  const Result watched = Run({"replay", "start", "s1", "--rate", "50", "--watch"});
  EXPECT_EQ(watched.code, 0) << watched.err;
  EXPECT_EQ(server_.catalog.replayed.rate_per_second(), 50);
  EXPECT_TRUE(Has(watched.out, "replay \"r1\"")) << watched.out;
  EXPECT_TRUE(Has(watched.err, "RUNNING 50%: 10 matched, 7 delivered")) << watched.err;
  EXPECT_TRUE(Has(watched.err, "DONE 100%")) << watched.err;
  const Result cancelled = Run({"replay", "cancel", "s1", "r1", "-o", "json"});
  EXPECT_TRUE(Has(cancelled.out, "spaces/default/subscriptions/s1/replays/r1")) << cancelled.out;
  EXPECT_TRUE(Has(cancelled.out, "CANCELLED")) << cancelled.out;
}

TEST_F(CliTest, DeadLettersAreListedByEveryCondition) {
  const Result result =
      Run({"deadletters", "list", "--subscription", "s1", "--reason", "EXPIRED", "--type", "a.*",
           "--from", "1h", "--to", "2026-01-02T03:04:05Z", "--error", "timeout"});
  EXPECT_EQ(result.code, 0) << result.err;
  const auto& listed = server_.catalog.listed;
  EXPECT_EQ(listed.subscription(), "s1");
  EXPECT_EQ(listed.reason(), pb::DeadLetter::EXPIRED);
  EXPECT_EQ(listed.event_type(), "a.*");
  EXPECT_TRUE(listed.has_from_time());
  EXPECT_EQ(listed.to_time().seconds(), 1'767'323'045);
  EXPECT_EQ(listed.error_contains(), "timeout");
  EXPECT_EQ(Run({"deadletters", "list", "--reason", "BOREDOM"}).code, 2);
}

TEST_F(CliTest, ALargeSelectionIsRedrivenInSeveralCalls) {
  server_.catalog.letters_left = 7;
  const Result result =
      Run({"deadletters", "redrive", "--all", "--reason", "EXPIRED", "--rate", "10"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.out, "7 on their way again\n");
  EXPECT_EQ(server_.catalog.redriven.rate_per_second(), 10);
  EXPECT_TRUE(server_.catalog.redriven.has_to_time());  // Not what fails again meanwhile.
  EXPECT_EQ(Run({"deadletters", "purge", "--error", "x"}).out, "0 deleted\n");
  EXPECT_EQ(server_.catalog.purged.error_contains(), "x");
  EXPECT_EQ(Run({"deadletters", "purge", "d-1", "--reason", "EXPIRED"}).code, 2);
}

TEST_F(CliTest, EditingADeadLetterSendsTheWholeEventWithItsEtag) {
  const Result result =
      Run({"deadletters", "edit", "d-1", "--data", "{\"a\":1}", "--extension", "subject=17"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_TRUE(Has(result.out, "its event is e2 now")) << result.out;
  const auto& letter = server_.catalog.edited.dead_letter();
  EXPECT_EQ(letter.name(), "spaces/default/deadLetters/d-1");
  EXPECT_EQ(letter.etag(), "etag-0");
  EXPECT_EQ(letter.event().type(), "order.paid");
  EXPECT_EQ(letter.event().binary_data(), "{\"a\":1}");
  EXPECT_EQ(letter.event().attributes().at("subject").ce_string(), "17");
  EXPECT_EQ(server_.catalog.edited.update_mask().paths(0), "event");
  EXPECT_EQ(Run({"deadletters", "edit", "d-1"}).code, 2);
}

TEST_F(CliTest, ExplainShowsAllPagesWithClausesAndAttempts) {
  const Result result = Run({"events", "explain", "e1", "--source", "/shop", "--all"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(server_.broker.explain_request.source(), "/shop");
  EXPECT_TRUE(server_.broker.explain_request.all());
  EXPECT_TRUE(Has(result.out, "RETRYING")) << result.out;
  EXPECT_TRUE(Has(result.out, "its next attempt")) << result.out;
  EXPECT_TRUE(Has(result.out, "filters[0].exact.source")) << result.out;
  EXPECT_TRUE(Has(result.out, "attempt 1")) << result.out;
  EXPECT_TRUE(Has(result.out, "HTTP 503")) << result.out;
  EXPECT_TRUE(Has(Run({"events", "explain", "e1", "-o", "json"}).out, "\"deliveryState\""));
}

TEST_F(CliTest, AnExplainedTailFollowsEachEventToItsEnd) {
  ASSERT_EQ(Run({"emit", "order.paid", "--id", "e1"}).code, 0);
  const Result result = Run({"events", "tail", "--explain", "--from", "1", "--limit", "1"});
  EXPECT_EQ(result.code, 0) << result.err;
  const std::size_t event = result.out.find("order.paid");
  const std::size_t retrying = result.out.find("s1 RETRYING attempt 1: its next attempt");
  const std::size_t delivered = result.out.find("s1 DELIVERED attempt 2");
  ASSERT_NE(delivered, std::string::npos) << result.out;
  EXPECT_LT(event, retrying) << result.out;
  EXPECT_LT(retrying, delivered) << result.out;
}

TEST_F(CliTest, ScheduledEventsAreListedAndTakenBack) {
  EXPECT_TRUE(Has(Run({"events", "scheduled", "list"}).out, "reminder"));
  EXPECT_EQ(Run({"events", "scheduled", "cancel", "k1"}).code, 0);
  EXPECT_EQ(server_.broker.cancelled, "spaces/default/scheduledEvents/k1");
  EXPECT_EQ(Run({"emit", "reminder", "--deliver-after", "10m", "--id", "later"}).code, 0);
  EXPECT_TRUE(server_.broker.events.at(0).attributes().contains("deliverat"));
}

TEST_F(CliTest, AConsumerTakesAsManyAsItWantsAndAcknowledges) {
  const Result result = Run({"events", "pull", "jobs", "--limit", "5", "--credit", "2"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(server_.broker.subscribed, "spaces/default/subscriptions/jobs");
  EXPECT_EQ(server_.broker.sent, 5);
  EXPECT_EQ(server_.broker.acknowledged,
            (std::vector<std::string>{"uid1-1", "uid1-2", "uid1-3", "uid1-4", "uid1-5"}));
  EXPECT_EQ(std::count(result.out.begin(), result.out.end(), '\n'), 5) << result.out;
}

TEST_F(CliTest, AConsumerMayRefuseOrKeepQuiet) {
  const Result refused = Run({"events", "pull", "jobs", "--limit", "1", "--nack", "--delay", "30s",
                              "--reason", "not today"});
  EXPECT_EQ(refused.code, 0) << refused.err;
  ASSERT_EQ(server_.broker.refused.size(), 1U);
  EXPECT_EQ(server_.broker.refused[0].reason(), "not today");
  EXPECT_EQ(server_.broker.refused[0].delay().seconds(), 30);
  EXPECT_EQ(Run({"events", "pull", "jobs", "--limit", "1", "--no-ack"}).code, 0);
  EXPECT_TRUE(server_.broker.acknowledged.empty());
  EXPECT_EQ(Run({"events", "pull", "jobs", "--nack", "--no-ack"}).code, 2);
}

TEST(CliUsageTest, DeliveryCommandsHaveExamples) {
  for (const auto& path : std::vector<std::vector<std::string>>{{"subscription", "update"},
                                                                {"subscription", "status"},
                                                                {"replay", "start"},
                                                                {"replay", "cancel"},
                                                                {"deadletters", "edit"},
                                                                {"deadletters", "purge"},
                                                                {"events", "explain"},
                                                                {"events", "pull"},
                                                                {"events", "scheduled", "list"}}) {
    std::vector<std::string> arguments = path;
    arguments.push_back("--help");
    EXPECT_TRUE(Has(RunProgram(arguments).out, "Examples:")) << path[0] << " " << path[1];
  }
  const std::string bash = RunProgram({"completion", "bash"}).out;
  EXPECT_TRUE(Has(bash, "'events scheduled') words='list get cancel")) << bash;
  EXPECT_TRUE(Has(RunProgram({"completion", "fish"}).out,
                  "__fish_seen_subcommand_from events; and __fish_seen_subcommand_from scheduled"));
}

}  // namespace
}  // namespace penstock::cli
