// What every function store must do, run against each of them.
#include "services/function-manager/ports/function_store.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "libs/base/fake_clock.h"
#include "libs/base/status.h"
#include "libs/sqlite/connection.h"
#include "services/function-manager/storage/sqlite_function_store.h"
#include "tests/unit/services/function-manager/fake_function_store.h"
#include "tests/unit/services/function-manager/sample.h"
#include "tests/unit/services/function-manager/store_waits.h"

namespace penstock::functions {
namespace {

constexpr std::int64_t kDeletionsKept = 4;

// One kind of store, with what it needs; opens as many times as asked on the same data.
class Kind {
 public:
  virtual ~Kind() = default;
  virtual std::unique_ptr<FunctionStore> Open() = 0;
};

class FakeKind final : public Kind {
 public:
  std::unique_ptr<FunctionStore> Open() override {
    return std::make_unique<FakeFunctionStore>(1000, kDeletionsKept);
  }
};

class SqliteKind final : public Kind {
 public:
  SqliteKind() {
    std::string pattern = (std::filesystem::temp_directory_path() / "penstock-fm-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
  }
  ~SqliteKind() override { std::filesystem::remove_all(folder_); }

  std::unique_ptr<FunctionStore> Open() override {
    auto store =
        SqliteFunctionStore::Open({.path = Path(), .deletions_kept = kDeletionsKept}, clock_);
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }
  std::string Path() const { return (folder_ / "functions.db").string(); }

 private:
  std::filesystem::path folder_;
  FakeClock clock_;
};

class FunctionStoreTest : public testing::TestWithParam<const char*> {
 protected:
  FunctionStoreTest() {
    if (std::string(GetParam()) == "fake") {
      kind_ = std::make_unique<FakeKind>();
    } else {
      kind_ = std::make_unique<SqliteKind>();
    }
    store_ = kind_->Open();
  }

  Function Put(Function function) {
    EXPECT_EQ(Write(*store_, [&](FunctionWriter& writer) { return writer.Put(function); }),
              absl::OkStatus());
    return function;
  }

  absl::StatusOr<std::int64_t> Remove(const std::string& id) {
    std::int64_t revision = 0;
    const absl::Status status = Write(*store_, [&](FunctionWriter& writer) -> absl::Status {
      ASSIGN_OR_RETURN(revision, writer.Remove({"default", id}));
      return absl::OkStatus();
    });
    if (!status.ok()) return status;
    return revision;
  }

  // Runs one method of the reader and returns what it gave.
  template <typename Result>
  Result Ask(const std::function<absl::StatusOr<Result>(FunctionReader&)>& ask) {
    Result result{};
    const absl::Status status = Read(*store_, [&](FunctionReader& reader) -> absl::Status {
      ASSIGN_OR_RETURN(result, ask(reader));
      return absl::OkStatus();
    });
    EXPECT_EQ(status, absl::OkStatus());
    return result;
  }

  std::optional<Function> Get(const std::string& id) {
    return Ask<std::optional<Function>>([&](auto& reader) { return reader.Get({"default", id}); });
  }
  ChangePage Changes(const ChangeQuery& query) {
    return Ask<ChangePage>([&](auto& reader) { return reader.Changes(query); });
  }
  std::int64_t Revision() {
    return Ask<std::int64_t>([](auto& reader) { return reader.Revision(); });
  }
  std::vector<std::string> List(const ListQuery& query, bool* has_more = nullptr) {
    const auto page = Ask<FunctionPage>([&](auto& reader) { return reader.List(query); });
    if (has_more != nullptr) *has_more = page.has_more;
    std::vector<std::string> ids;
    for (const Function& function : page.functions) ids.push_back(function.name.id);
    return ids;
  }

  std::unique_ptr<Kind> kind_;
  std::unique_ptr<FunctionStore> store_;
};

INSTANTIATE_TEST_SUITE_P(Stores, FunctionStoreTest, testing::Values("fake", "sqlite"),
                         [](const auto& test) { return std::string(test.param); });

using Ids = std::vector<std::string>;

TEST_P(FunctionStoreTest, GivesBackWhatWasPut) {
  FunctionSpec spec = PythonSpec("print('\"quoted\"\\\n\ttab é')");
  spec.metadata = {{"team", "a \"b\""}, {"ключ", "значение"}};
  spec.environment = {{"A", "1"}};
  spec.description = "what";
  spec.timeout = Microseconds(1'234'567);
  spec.max_concurrency = 7;
  auto& process = std::get<ProcessDriver>(spec.driver);
  process.max_workers = 9;
  process.idle_timeout = Microseconds(77);
  process.max_memory_bytes = std::int64_t{3} << 31;
  const Function put = Put(NamedFunction("f", spec));
  EXPECT_EQ(Get("f"), put);

  FunctionSpec http = HttpSpec("https://example.org/x");
  std::get<HttpDriver>(http.driver).format = HttpFormat::kContext;
  std::get<HttpDriver>(http.driver).headers = {{"X-A", "b"}};
  const Function other = Put(NamedFunction("g", http));
  EXPECT_EQ(Get("g"), other);
  EXPECT_EQ(Get("none"), std::nullopt);
  EXPECT_EQ(store_->Count(), 2);
}

TEST_P(FunctionStoreTest, NamesTheSourcesOfAllKeptVersions) {
  FunctionSpec spec = PythonSpec("");
  std::get<ProcessDriver>(spec.driver).source_digest = std::string(64, 'a');
  Put(NamedFunction("f", spec));
  Put(NamedFunction("g", PythonSpec("text")));
  const auto sources =
      Ask<std::set<SourceName>>([](auto& reader) { return reader.SourcesInUse(); });
  EXPECT_EQ(sources, (std::set<SourceName>{{"default", std::string(64, 'a')}}));
}

TEST_P(FunctionStoreTest, GivesEachChangeTheNextRevision) {
  const std::int64_t start = Revision();
  EXPECT_GT(start, 0);
  EXPECT_EQ(Put(NamedFunction("a")).revision, start + 1);
  EXPECT_EQ(Put(NamedFunction("b")).revision, start + 2);
  EXPECT_EQ(*Remove("a"), start + 3);
  EXPECT_EQ(Revision(), start + 3);
}

TEST_P(FunctionStoreTest, UndoesAJobThatFails) {
  const std::int64_t start = Revision();
  const absl::Status status = Write(*store_, [&](FunctionWriter& writer) -> absl::Status {
    Function function = NamedFunction("a");
    RETURN_IF_ERROR(writer.Put(function));
    RETURN_IF_ERROR(writer.AddHold({{"default", "a"}, "spaces/default/subscriptions/s", "x"}));
    return absl::AbortedError("no");
  });
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
  EXPECT_EQ(Get("a"), std::nullopt);
  EXPECT_EQ(Revision(), start);
  EXPECT_EQ(store_->Count(), 0);
  EXPECT_TRUE(Ask<std::vector<Hold>>([](auto& reader) { return reader.HoldsOf("x"); }).empty());
}

TEST_P(FunctionStoreTest, KeepsVersionsAndNeverChangesThem) {
  Function function = NamedFunction("f", HttpSpec("http://a/"));
  const Function first = Put(function);
  function.version = 2;
  function.spec = HttpSpec("http://b/");
  const Function second = Put(function);
  function.version = 3;
  function.spec = NoopSpec();
  const Function third = Put(function);

  auto page = Ask<FunctionPage>([](auto& reader) {
    return reader.ListVersions({.name = {"default", "f"}, .limits = {.count_max = 2}});
  });
  EXPECT_EQ(page.functions, (std::vector<Function>{AsVersion(third), AsVersion(second)}));
  EXPECT_TRUE(page.has_more);
  page = Ask<FunctionPage>([](auto& reader) {
    return reader.ListVersions({.name = {"default", "f"}, .before_version = 2});
  });
  EXPECT_EQ(page.functions, (std::vector<Function>{AsVersion(first)}));
  EXPECT_FALSE(page.has_more);

  EXPECT_EQ(Write(*store_, [&](FunctionWriter& writer) { return writer.Put(function); }).code(),
            absl::StatusCode::kAlreadyExists);
}

TEST_P(FunctionStoreTest, KeepsAStateOfEachVersion) {
  Function function = NamedFunction("f", PythonSpec());
  function.state = FunctionState::kDeploying;
  Put(function);
  function.version = 2;
  Put(function);
  const std::int64_t revision = Revision();
  ASSERT_TRUE(Write(*store_, [&](FunctionWriter& writer) -> absl::Status {
                RETURN_IF_ERROR(writer.SetState(function.uid, 1, FunctionState::kReady, ""));
                RETURN_IF_ERROR(writer.SetState(function.uid, 7, FunctionState::kReady, ""));
                return writer.SetState(function.uid, 2, FunctionState::kFailed, "it \"broke\"");
              }).ok());
  EXPECT_EQ(Revision(), revision) << "watches are told nothing";
  EXPECT_EQ(Get("f")->state, FunctionState::kFailed);
  EXPECT_EQ(Get("f")->state_reason, "it \"broke\"");
  const auto page = Ask<FunctionPage>([](auto& reader) {
    return reader.ListVersions({.name = {"default", "f"}});
  });
  ASSERT_EQ(page.functions.size(), 2u);
  EXPECT_EQ(page.functions[0].state, FunctionState::kFailed);
  EXPECT_EQ(page.functions[1].state, FunctionState::kReady);
}

TEST_P(FunctionStoreTest, RemovesAFunctionWithItsVersions) {
  Put(NamedFunction("f"));
  ASSERT_TRUE(Remove("f").ok());
  EXPECT_EQ(Get("f"), std::nullopt);
  EXPECT_EQ(Remove("f").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(store_->Count(), 0);
  Function again = NamedFunction("f", HttpSpec());
  again.uid = "another";
  Put(again);
  const auto page = Ask<FunctionPage>([](auto& reader) {
    return reader.ListVersions({.name = {"default", "f"}});
  });
  ASSERT_EQ(page.functions.size(), 1U);
  EXPECT_EQ(page.functions[0].uid, "another");
}

TEST_P(FunctionStoreTest, ListsASpaceByIdInPages) {
  for (const char* id : {"b", "a", "c", "B", "a.1"}) Put(NamedFunction(id));
  Put(NamedFunction("a", NoopSpec(), "other"));
  bool has_more = false;
  EXPECT_EQ(List({.space = "default"}, &has_more), (Ids{"B", "a", "a.1", "b", "c"}));
  EXPECT_FALSE(has_more);
  EXPECT_EQ(List({.space = "default", .limits = {.count_max = 2}}, &has_more), (Ids{"B", "a"}));
  EXPECT_TRUE(has_more);
  EXPECT_EQ(List({.space = "default", .after_id = "a", .limits = {.count_max = 3}}, &has_more),
            (Ids{"a.1", "b", "c"}));
  EXPECT_FALSE(has_more);
  EXPECT_TRUE(List({.space = "nothing"}).empty());
}

TEST_P(FunctionStoreTest, EndsAPageAtItsBytes) {
  for (const char* id : {"a", "b", "c"}) Put(NamedFunction(id, PythonSpec(std::string(1000, 'x'))));
  bool has_more = false;
  EXPECT_EQ(List({.space = "default", .limits = {.bytes_max = 1}}, &has_more), (Ids{"a"}));
  EXPECT_TRUE(has_more);
  EXPECT_EQ(List({.space = "default", .limits = {.bytes_max = 1300}}, &has_more), (Ids{"a", "b"}));
  EXPECT_TRUE(has_more);
}

TEST_P(FunctionStoreTest, FiltersByMetadataAndCreator) {
  Function a = NamedFunction("a");
  a.spec.metadata = {{"team", "x"}, {"tier", "1"}, {"we\"ird.key'é", "v\"1"}};
  Function b = NamedFunction("b");
  b.spec.metadata = {{"team", "x"}, {"tier", "2"}};
  b.creator = "bob";
  Function c = NamedFunction("c");
  c.creator = "";
  for (const Function& function : {a, b, c}) Put(function);
  EXPECT_EQ(List({.space = "default", .metadata = {{"team", "x"}}}), (Ids{"a", "b"}));
  EXPECT_EQ(List({.space = "default", .metadata = {{"team", "x"}, {"tier", "2"}}}), (Ids{"b"}));
  EXPECT_EQ(List({.space = "default", .metadata = {{"we\"ird.key'é", "v\"1"}}}), (Ids{"a"}));
  EXPECT_TRUE(List({.space = "default", .metadata = {{"team", "1"}}}).empty());
  EXPECT_EQ(List({.space = "default", .creator = "bob"}), (Ids{"b"}));
  EXPECT_EQ(List({.space = "default", .creator = ""}), (Ids{"c"}));
}

TEST_P(FunctionStoreTest, GivesTheLatestChangeOfEachFunctionInOrder) {
  const std::int64_t start = Revision();
  Function a = NamedFunction("a");
  const Function first = Put(a);
  const Function b = Put(NamedFunction("b"));
  a.version = 2;
  a.spec = HttpSpec();
  a = Put(a);
  Put(NamedFunction("c"));
  const std::int64_t deleted = *Remove("c");

  ChangePage page = Changes({.after = start, .deletions_after = start});
  ASSERT_EQ(page.changes.size(), 4U);
  EXPECT_EQ(page.changes[0], (Change{false, AsVersion(first)}));
  EXPECT_EQ(page.changes[1], (Change{false, b, {1}}));
  EXPECT_EQ(page.changes[2], (Change{false, a, {1, 2}}));
  EXPECT_TRUE(page.changes[3].is_deleted);
  EXPECT_EQ(page.changes[3].function.name.id, "c");
  EXPECT_EQ(page.changes[3].function.uid, "uid-default-c");
  EXPECT_EQ(page.changes[3].function.revision, deleted);
  EXPECT_EQ(page.revision, deleted);
  EXPECT_FALSE(page.has_more);

  page = Changes({.after = start, .deletions_after = start, .limits = {.count_max = 1}});
  EXPECT_TRUE(page.has_more);
  EXPECT_EQ(page.revision, first.revision);
  EXPECT_EQ(Changes({.after = start, .deletions_after = deleted}).changes.size(), 3U);
  // Whoever has the first version is not given it again.
  EXPECT_EQ(Changes({.after = b.revision, .deletions_after = deleted}).changes,
            (std::vector<Change>{{false, a, {1, 2}}}));
  EXPECT_TRUE(Changes({.after = deleted, .deletions_after = deleted}).changes.empty());
}

TEST_P(FunctionStoreTest, KeepsTheStepsOfSpacesAndTouchesTheirFunctions) {
  const Function a = Put(NamedFunction("a"));
  const Function b = Put(NamedFunction("b"));
  const Function c = Put(NamedFunction("c", NoopSpec(), "other"));
  SpaceMiddleware steps;
  steps.space = "default";
  steps.generation = 3;
  steps.update_time = FromUnixMicros(7);
  steps.steps = R"([{"log":{}}])";
  std::int64_t revision = 0;
  ASSERT_TRUE(Write(*store_, [&](FunctionWriter& writer) -> absl::Status {
                EXPECT_TRUE(writer.GetSpaceMiddleware("default")->steps.empty());
                ASSIGN_OR_RETURN(revision, writer.PutSpaceMiddleware(steps));
                EXPECT_EQ(*writer.GetSpaceMiddleware("default"), steps);
                EXPECT_EQ(*writer.PutSpaceMiddleware({"empty", 1, {}, "[]"}), 0);
                return absl::OkStatus();
              }).ok());
  EXPECT_EQ(revision, c.revision + 2);
  const ChangePage page = Changes({.after = c.revision, .deletions_after = c.revision});
  ASSERT_EQ(page.changes.size(), 2U);
  EXPECT_EQ(page.changes[0].function.name, a.name);
  EXPECT_EQ(page.changes[0].function.version, 1);
  EXPECT_EQ(page.changes[1].function.name, b.name);
  EXPECT_EQ(page.changes[1].space_middleware, steps.steps);
}

TEST_P(FunctionStoreTest, KeepsTrafficAndAliasesBesideTheVersions) {
  Function function = Put(NamedFunction("f"));
  function.version = 2;
  function.spec = HttpSpec();
  function.generation = 2;
  function = Put(function);
  function.traffic = {{1, 95}, {2, 5}};
  function.aliases = {{"pro\"d", {1, 3}}, {"beta", {2, 3}}};
  function.generation = 3;
  const std::int64_t before = function.revision;
  ASSERT_TRUE(Write(*store_, [&](FunctionWriter& writer) { return writer.Save(function); }).ok());
  EXPECT_EQ(function.revision, before + 1);
  EXPECT_EQ(Get("f"), function);
  EXPECT_EQ(Changes({.after = before}).changes, (std::vector<Change>{{false, function, {1, 2}}}));
  const auto version = Ask<std::optional<Function>>([](auto& reader) {
    return reader.GetVersion({"default", "f"}, 1);
  });
  ASSERT_TRUE(version);
  EXPECT_TRUE(version->is_version);
  EXPECT_TRUE(version->traffic.empty());

  ASSERT_TRUE(Write(*store_, [&](FunctionWriter& writer) {
                return writer.RemoveVersions(function, {1});
              }).ok());
  using Numbers = std::vector<std::int64_t>;
  EXPECT_EQ(Ask<Numbers>([](auto& reader) {
              return reader.Versions({"default", "f"});
            }),
            (Numbers{2}));
  EXPECT_EQ(Ask<std::optional<Function>>([](auto& reader) {
              return reader.GetVersion({"default", "f"}, 1);
            }),
            std::nullopt);
}

TEST_P(FunctionStoreTest, HoldsOfTagsStandForThemselves) {
  const FunctionName name{"default", "f"};
  const std::string holder = "spaces/default/subscriptions/s";
  const auto holders = [&] {
    return Ask<std::vector<std::string>>([&](auto& reader) { return reader.Holders(name, 9); });
  };
  ASSERT_TRUE(Write(*store_, [&](FunctionWriter& writer) -> absl::Status {
                RETURN_IF_ERROR(writer.AddHold({name, "", holder, "event-broker"}));
                return writer.AddHold({name, "prod", holder, "event-broker"});
              }).ok());
  EXPECT_EQ(holders(), (std::vector<std::string>{holder}));
  EXPECT_EQ(Ask<std::vector<Hold>>([&](auto& reader) { return reader.TagHolds(name); }),
            (std::vector<Hold>{{name, "prod", holder, "event-broker"}}));
  ASSERT_TRUE(Write(*store_, [&](FunctionWriter& writer) {
                return writer.RemoveHold({name, "", holder, ""});
              }).ok());
  EXPECT_EQ(holders().size(), 1U);
  ASSERT_TRUE(Write(*store_, [&](FunctionWriter& writer) {
                return writer.RemoveHold({name, "prod", holder, ""});
              }).ok());
  EXPECT_TRUE(holders().empty());
}

TEST_P(FunctionStoreTest, SaysHowFarBackItRemembersDeletions) {
  const auto resumable_from = [&] {
    return Ask<std::int64_t>([](auto& reader) { return reader.ResumableFrom(); });
  };
  const std::int64_t start = Revision();
  EXPECT_EQ(resumable_from(), start);
  std::vector<std::int64_t> deletions;
  for (int i = 0; i < kDeletionsKept + 2; ++i) {
    Put(NamedFunction("f"));
    deletions.push_back(*Remove("f"));
    if (i < kDeletionsKept) {
      EXPECT_EQ(resumable_from(), start);
    }
  }
  EXPECT_EQ(resumable_from(), deletions[1]);
  EXPECT_EQ(Changes({}).changes.size(), static_cast<std::size_t>(kDeletionsKept));
}

TEST_P(FunctionStoreTest, KeepsHolds) {
  const Hold one{{"default", "f"}, "", "spaces/default/subscriptions/s1", "event-broker"};
  const Hold two{{"default", "f"}, "", "spaces/default/subscriptions/s2", "event-broker"};
  const Hold own{{"default", "g"}, "", "spaces/default/functions/w", "function-manager"};
  EXPECT_TRUE(Write(*store_, [&](FunctionWriter& writer) -> absl::Status {
                for (const Hold& hold : {two, one, own, one}) RETURN_IF_ERROR(writer.AddHold(hold));
                return absl::OkStatus();
              }).ok());
  const auto holders = [&](std::size_t count_max) {
    return Ask<Ids>([&](auto& reader) { return reader.Holders({"default", "f"}, count_max); });
  };
  EXPECT_EQ(holders(10), (Ids{one.holder, two.holder}));
  EXPECT_EQ(holders(1), (Ids{one.holder}));
  EXPECT_EQ(Ask<std::vector<Hold>>([](auto& reader) { return reader.HoldsOf("event-broker"); }),
            (std::vector<Hold>{one, two}));
  EXPECT_TRUE(Write(*store_, [&](FunctionWriter& writer) -> absl::Status {
                RETURN_IF_ERROR(writer.RemoveHold(one));
                return writer.RemoveHold(
                    {one.function, "", "spaces/default/subscriptions/none", "event-broker"});
              }).ok());
  EXPECT_EQ(holders(10), (Ids{two.holder}));
}

TEST_P(FunctionStoreTest, TellsTheListenerBeforeTheWriter) {
  std::atomic<std::int64_t> heard{0};
  store_->SetListener([&](std::int64_t revision) { heard = revision; });
  Function function = NamedFunction("f");
  std::int64_t heard_at_done = 0;
  const absl::Status status = Await<absl::Status>([&](auto done) {
    store_->Write([&](FunctionWriter& writer) { return writer.Put(function); },
                  [&, done](absl::Status result) {
                    heard_at_done = heard;
                    done(std::move(result));
                  });
  });
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(heard_at_done, function.revision);
  heard = 0;
  EXPECT_TRUE(Write(*store_, [](FunctionWriter& writer) {
                return writer.AddHold({{"default", "f"}, "spaces/default/subscriptions/s", "x"});
              }).ok());
  EXPECT_EQ(heard, 0) << "a hold changes no function";
}

TEST_P(FunctionStoreTest, RunsWritesOneAfterTheOther) {
  constexpr int kThreads = 8;
  std::atomic<int> created{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      const absl::Status status = Write(*store_, [&](FunctionWriter& writer) -> absl::Status {
        ASSIGN_OR_RETURN(const bool exists, writer.Exists({"default", "f"}));
        if (exists) return absl::AlreadyExistsError("f");
        Function function = NamedFunction("f");
        function.uid = std::to_string(i);
        return writer.Put(function);
      });
      if (status.ok()) ++created;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(created, 1);
}

TEST_P(FunctionStoreTest, RefusesWhatComesAfterStop) {
  store_->Stop();
  store_->Stop();
  EXPECT_EQ(Write(*store_, [](FunctionWriter&) { return absl::OkStatus(); }).code(),
            absl::StatusCode::kUnavailable);
  EXPECT_EQ(Read(*store_, [](FunctionReader&) { return absl::OkStatus(); }).code(),
            absl::StatusCode::kUnavailable);
}

TEST(SqliteFunctionStoreTest, KeepsEverythingWhenOpenedAgain) {
  SqliteKind kind;
  Function function = NamedFunction("f", PythonSpec());
  Function other = NamedFunction("g");
  {
    const auto store = kind.Open();
    EXPECT_TRUE(Write(*store, [&](FunctionWriter& writer) -> absl::Status {
                  RETURN_IF_ERROR(writer.Put(other));
                  RETURN_IF_ERROR(writer.Put(function));
                  return writer.AddHold(
                      {function.name, "", "spaces/default/subscriptions/s", "event-broker"});
                }).ok());
  }
  const auto store = kind.Open();
  EXPECT_EQ(store->Count(), 2);
  EXPECT_TRUE(Read(*store, [&](FunctionReader& reader) -> absl::Status {
                EXPECT_EQ(*reader.Get(function.name), function);
                EXPECT_EQ(*reader.Get(other.name), other);
                EXPECT_EQ(*reader.Revision(), function.revision);
                EXPECT_EQ(reader.HoldsOf("event-broker")->size(), 1U);
                return absl::OkStatus();
              }).ok());
}

// What a database of the first schema holds is there after the migration.
TEST(SqliteFunctionStoreTest, OpensAFileOfTheFirstSchema) {
  SqliteKind kind;
  {
    auto raw = sqlite::Connection::Open({.path = kind.Path()});
    ASSERT_TRUE(raw.ok());
    ASSERT_TRUE((*raw)
                    ->ExecuteScript(R"sql(
PRAGMA application_id = 1347634765;
PRAGMA user_version = 1;
CREATE TABLE counters (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE functions (space TEXT NOT NULL, id TEXT NOT NULL, uid TEXT NOT NULL UNIQUE,
  version INTEGER NOT NULL, revision INTEGER NOT NULL UNIQUE, create_time INTEGER NOT NULL,
  creator TEXT NOT NULL, state INTEGER NOT NULL, state_reason TEXT NOT NULL,
  PRIMARY KEY (space, id));
CREATE TABLE versions (uid TEXT NOT NULL, version INTEGER NOT NULL, revision INTEGER NOT NULL,
  update_time INTEGER NOT NULL, metadata TEXT NOT NULL, spec TEXT NOT NULL,
  PRIMARY KEY (uid, version));
CREATE TABLE deletions (sequence INTEGER PRIMARY KEY, revision INTEGER NOT NULL UNIQUE,
  space TEXT NOT NULL, id TEXT NOT NULL, uid TEXT NOT NULL, version INTEGER NOT NULL);
CREATE TABLE holds (space TEXT NOT NULL, id TEXT NOT NULL, holder TEXT NOT NULL,
  service TEXT NOT NULL, PRIMARY KEY (space, id, holder)) WITHOUT ROWID;
CREATE INDEX holds_by_service ON holds (service);
INSERT INTO counters VALUES ('revision', 1002), ('resumable_from', 1000);
INSERT INTO functions VALUES ('default', 'f', 'u', 2, 1002, 5, 'alice', 1, '');
INSERT INTO versions VALUES
  ('u', 1, 1001, 5, '{}',
   '{"description":"","timeoutMicros":30000000,"maxConcurrency":0,"environment":{},"noop":{}}'),
  ('u', 2, 1002, 6, '{}',
   '{"description":"b","timeoutMicros":30000000,"maxConcurrency":0,"environment":{},"noop":{}}');
INSERT INTO holds VALUES ('default', 'f', 'spaces/default/subscriptions/s', 'event-broker');
)sql")
                    .ok());
  }
  const auto store = kind.Open();
  ASSERT_NE(store, nullptr);
  EXPECT_TRUE(Read(*store, [&](FunctionReader& reader) -> absl::Status {
                ASSIGN_OR_RETURN(const auto function, reader.Get({"default", "f"}));
                EXPECT_EQ(function->version, 2);
                EXPECT_EQ(function->generation, 2);
                EXPECT_EQ(function->revision, 1002);
                EXPECT_TRUE(function->traffic.empty());
                EXPECT_EQ(reader.Versions({"default", "f"})->size(), 2U);
                EXPECT_EQ(reader.Holders({"default", "f"}, 9)->size(), 1U);
                EXPECT_TRUE(reader.TagHolds({"default", "f"})->empty());
                return absl::OkStatus();
              }).ok());
}

TEST(SqliteFunctionStoreTest, RefusesAFileOfAnotherVersion) {
  SqliteKind kind;
  kind.Open().reset();
  auto raw = sqlite::Connection::Open({.path = kind.Path()});
  ASSERT_TRUE(raw.ok());
  ASSERT_TRUE((*raw)->ExecuteScript("PRAGMA user_version = 99").ok());
  raw->reset();
  FakeClock clock;
  const absl::Status status = SqliteFunctionStore::Open({.path = kind.Path()}, clock).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace penstock::functions
