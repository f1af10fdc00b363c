#include "services/function-executor/domain/middleware/chain.h"

#include "gmock/gmock.h"
#include "tests/unit/services/function-executor/domain/middleware/chain_fixture.h"

namespace penstock::executor {
namespace {

using std::chrono_literals::operator""s;
using std::chrono_literals::operator""ms;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Puts its letter around what passes.
class Letter final : public Middleware {
 public:
  explicit Letter(std::string letter) : letter_(std::move(letter)) {}
  void Handle(const std::shared_ptr<Step>& step) const override {
    step->SetInput(BytesOf(*step->payload() + letter_), step->content_type());
    step->Next([step, letter = letter_](Outcome outcome) {
      outcome.payload = BytesOf(*outcome.payload + letter);
      step->Finish(std::move(outcome));
    });
  }

 private:
  const std::string letter_;
};

// Keeps a call until the test lets it go.
class Keeper final : public Middleware {
 public:
  void Handle(const std::shared_ptr<Step>& step) const override {
    kept.push_back(step);
    step->OnCancel([step] { step->Finish(CancelledOutcome()); });
  }
  mutable std::vector<std::shared_ptr<Step>> kept;
};

class ChainTest : public ChainFixture {
 protected:
  void SetUp() override {
    ChainFixture::SetUp();
    catalog_.Add("letter",
                 [](StepSettings& settings,
                    const StepContext&) -> absl::StatusOr<std::shared_ptr<const Middleware>> {
                   return std::make_shared<const Letter>(settings.Text("letter"));
                 });
    catalog_.Add("keeper",
                 [this](StepSettings&, const StepContext&)
                     -> absl::StatusOr<std::shared_ptr<const Middleware>> { return keeper_; });
  }
  void TearDown() override {
    keeper_->kept.clear();  // The calls hold their chain, and that holds the keeper.
    ChainFixture::TearDown();
  }
  std::shared_ptr<const Keeper> keeper_ = std::make_shared<const Keeper>();
};

TEST_F(ChainTest, RunsInOrderInwardsAndInReverseBack) {
  const auto chain = Make({{"letter", R"({"letter":"b"})"}, {"letter", R"({"letter":"c"})"}}, 1,
                          {{"letter", R"({"letter":"a"})"}});
  const Sent sent = Send(chain, Call(">"));
  ASSERT_EQ(reached_.size(), 1U);
  EXPECT_EQ(*reached_[0].invocation.payload, ">abc");
  Answer(Succeeded("<"));
  ASSERT_TRUE(sent.ended());
  EXPECT_EQ(*sent->payload, "<cba");
  EXPECT_THAT(sent.steps(), ElementsAre("space letter before changed", "letter before changed",
                                        "letter before changed", "letter after changed",
                                        "letter after changed", "space letter after changed"));
}

TEST_F(ChainTest, WithoutStepsThereIsNoChain) { EXPECT_EQ(Make({}), nullptr); }

TEST_F(ChainTest, AKindThatIsNotThereRefusesTheCall) {
  const Sent sent = Send(Make({{"letter", R"({"letter":"b"})"}, {"jq", "{}"}}));
  ASSERT_TRUE(sent.ended());
  EXPECT_TRUE(reached_.empty());
  EXPECT_EQ(sent.error(), "MiddlewareUnavailable");
  EXPECT_EQ(sent->refusal, absl::StatusCode::kUnimplemented);
  EXPECT_THAT(sent->error->message, HasSubstr("the middleware jq of the function f"));
  EXPECT_THAT(sent.steps(),
              ElementsAre("letter before changed", "jq before refused", "letter after changed"));
}

TEST_F(ChainTest, SettingsThatCannotBeReadRefuseTheCall) {
  const Sent sent = Send(Make({{"letter", R"({"letter":7})"}}));
  ASSERT_TRUE(sent.ended());
  EXPECT_THAT(sent->error->message, HasSubstr("letter: expected a string"));
}

TEST_F(ChainTest, CancelTellsTheStepThatHoldsTheCall) {
  const Sent sent = Send(Make({{"keeper", "{}"}}));
  EXPECT_FALSE(sent.ended());
  sent.run->Cancel();
  ASSERT_TRUE(sent.ended());
  EXPECT_EQ(sent.error(), "Cancelled");
  keeper_->kept[0]->Next();
  keeper_->kept[0]->Finish(Succeeded("late"));
  EXPECT_TRUE(reached_.empty()) << "a step that is done does nothing any more";
}

TEST_F(ChainTest, ACancelledCallGoesNoFurther) {
  const auto chain = Make({{"keeper", "{}"}});
  const Sent sent = Send(chain);
  keeper_->kept[0]->OnCancel([] {});  // One that does not care.
  sent.run->Cancel();
  EXPECT_FALSE(sent.ended());
  keeper_->kept[0]->Next();
  EXPECT_TRUE(reached_.empty());
  ASSERT_TRUE(sent.ended());
  EXPECT_EQ(sent.error(), "Cancelled");
}

TEST_F(ChainTest, ARecordSaysHowLongEachStepHadTheCall) {
  const Sent sent = Send(Make({{"keeper", "{}"}}));
  clock_.Advance(5ms);
  keeper_->kept[0]->Next([this](Outcome outcome) {
    clock_.Advance(7ms);
    keeper_->kept[0]->Finish(std::move(outcome));
  });
  clock_.Advance(100ms);
  Answer(Succeeded("x"));
  const auto records = sent.run->Records();
  ASSERT_EQ(records.size(), 2U);
  EXPECT_EQ(records[0].duration, 5ms);
  EXPECT_EQ(records[1].duration, 7ms);
  EXPECT_EQ(records[1].effect, "passed");
}

TEST_F(ChainTest, AChangedBatchChangesItsEvents) {
  Invocation call = AsDelivery(Call(R"([{"id":"1","data":{"n":1}},{"id":"2","data":"two"}])"));
  Batch batch;
  batch.push_back({"d1", {}, BytesOf(R"({"n":1})"), "application/json"});
  batch.push_back({"d2", {}, BytesOf("two"), "text/plain"});
  call.batch = std::make_shared<const Batch>(std::move(batch));
  const Sent sent = Send(Make({{"keeper", "{}"}}), std::move(call));
  keeper_->kept[0]->SetInput(BytesOf(R"([{"id":"1","data":{"n":10}},{"id":"2","data":"zwei"}])"),
                             "application/json");
  keeper_->kept[0]->Next();
  ASSERT_EQ(reached_.size(), 1U);
  EXPECT_EQ(*(*reached_[0].invocation.batch)[0].payload, R"({"n":10})");
  EXPECT_EQ(*(*reached_[0].invocation.batch)[1].payload, "zwei");
  Answer(Succeeded(""));

  Invocation other = AsDelivery(Call("[1]"));
  other.batch = std::make_shared<const Batch>(1);
  const Sent lost = Send(Make({{"keeper", "{}"}}), std::move(other));
  keeper_->kept[1]->SetInput(BytesOf("{}"), "application/json");
  keeper_->kept[1]->Next();
  ASSERT_TRUE(lost.ended());
  EXPECT_EQ(lost.error(), "InvalidBatch");
}

TEST_F(ChainTest, StateLivesAsLongAsAChainThatAsksForIt) {
  StatePool pool;
  auto first = pool.Get<int>("a");
  *first = 7;
  EXPECT_EQ(*pool.Get<int>("a"), 7);
  EXPECT_EQ(pool.size(), 1U);
  first.reset();
  EXPECT_EQ(pool.size(), 0U);
  EXPECT_EQ(*pool.Get<int>("a"), 0);
}

TEST_F(ChainTest, TimeoutShortensTheDeadlineOfWhatStandsBehind) {
  const auto chain = Make({{"timeout", R"({"timeout":"1.500s"})"}});
  const MonotonicTime begin = clock_.Monotonic();
  const WallTime wall = clock_.Wall();
  const Sent sent = Send(chain);
  EXPECT_EQ(reached_[0].invocation.deadline, begin + 1500ms);
  EXPECT_EQ(reached_[0].invocation.deadline_wall, wall + 1500ms);
  Outcome late = FailedOutcome({ErrorCategory::kSystem, "Timeout", "took too long", {}});
  late.timed_out = true;
  Answer(std::move(late));
  ASSERT_TRUE(sent.ended());
  EXPECT_EQ(sent.error(), "Timeout");
  EXPECT_THAT(sent.steps(), ElementsAre("timeout before passed", "timeout after timed out"));
}

TEST_F(ChainTest, TimeoutNeverGivesMoreTimeThanTheCallHas) {
  Invocation call = Call();
  const MonotonicTime deadline = clock_.Monotonic() + 1s;
  call.deadline = deadline;
  const Sent sent = Send(Make({{"timeout", R"({"timeout":"900s"})"}}), std::move(call));
  EXPECT_EQ(reached_[0].invocation.deadline, deadline);
  Answer(Succeeded("x"));
  EXPECT_THAT(sent.steps(), ElementsAre("timeout before passed"));
}

}  // namespace
}  // namespace penstock::executor
