// Run against each store, so that both keep secrets alike.
#include "services/function-manager/domain/secret_catalog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "libs/base/fake_clock.h"
#include "libs/base/status.h"
#include "services/function-manager/crypto/aes_gcm_cipher.h"
#include "services/function-manager/domain/function_catalog.h"
#include "services/function-manager/storage/sqlite_function_store.h"
#include "tests/unit/services/function-manager/fake_function_store.h"
#include "tests/unit/services/function-manager/sample.h"
#include "tests/unit/services/function-manager/store_waits.h"

namespace penstock::functions {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Strings = std::map<std::string, std::string>;

constexpr char kDb[] = "spaces/default/secrets/db";

class SecretCatalogTest : public testing::TestWithParam<const char*> {
 protected:
  SecretCatalogTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "penstock-sc-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
    if (std::string(GetParam()) == "fake") {
      store_ = std::make_unique<FakeFunctionStore>();
    } else {
      store_ = *SqliteFunctionStore::Open({.path = (folder_ / "functions.db").string()}, clock_);
    }
    cipher_ =
        *AesGcmCipher::Load({.key_file = (folder_ / "secrets.key").string(), .makes_key = true});
    catalog_ = std::make_unique<SecretCatalog>(*store_, *cipher_, clock_, spaces_);
    functions_ = std::make_unique<FunctionCatalog>(*store_, clock_, spaces_);
  }
  ~SecretCatalogTest() override {
    store_->Stop();
    std::filesystem::remove_all(folder_);
  }

  absl::StatusOr<SecretMutation> Create(Strings values, const std::string& id = "db") {
    return Await<absl::StatusOr<SecretMutation>>([&](auto done) {
      catalog_->Create({.parent = "spaces/default", .secret_id = id, .values = std::move(values)},
                       done);
    });
  }
  absl::StatusOr<SecretMutation> Update(Strings values, std::vector<std::string> mask = {},
                                        std::string etag = "") {
    return Await<absl::StatusOr<SecretMutation>>([&](auto done) {
      catalog_->Update({.name = kDb, .etag = etag, .values = values, .mask = mask}, done);
    });
  }
  absl::StatusOr<SecretMutation> Delete(std::string etag = "") {
    return Await<absl::StatusOr<SecretMutation>>(
        [&](auto done) { catalog_->Delete({.name = kDb, .etag = etag}, done); });
  }
  absl::StatusOr<std::int64_t> Rotate() {
    return Await<absl::StatusOr<std::int64_t>>([&](auto done) { catalog_->RotateKey(done); });
  }
  absl::StatusOr<Mutation> MakeFunction(std::vector<std::string> secrets) {
    FunctionSpec spec = PythonSpec();
    spec.secrets = std::move(secrets);
    return MakeFunction(std::move(spec));
  }
  absl::StatusOr<Mutation> MakeFunction(FunctionSpec spec) {
    return Await<absl::StatusOr<Mutation>>([&](auto done) {
      functions_->Create({.parent = "spaces/default", .function_id = "f", .input = {spec, 0}},
                         done);
    });
  }
  // What the change feed gives of `f`, decrypted.
  Strings Fed(std::int64_t after = 0) {
    Strings fed;
    EXPECT_TRUE(Read(*store_, [&](FunctionReader& reader) -> absl::Status {
                  ASSIGN_OR_RETURN(const ChangePage page, reader.Changes({.after = after}));
                  for (const Change& change : page.changes) {
                    for (const SecretValue& value : change.secrets) {
                      ASSIGN_OR_RETURN(fed[value.secret.id + "." + value.key],
                                       cipher_->Open(value.Binding(), value.sealed));
                    }
                  }
                  return absl::OkStatus();
                }).ok());
    return fed;
  }
  static std::string FieldOf(const absl::Status& status) {
    const auto violations = FieldViolationsOf(status);
    return violations.empty() ? std::string(status.message()) : violations[0].field;
  }

  std::filesystem::path folder_;
  FakeClock clock_;
  SpaceRule spaces_{{}};
  std::unique_ptr<FunctionStore> store_;
  std::unique_ptr<AesGcmCipher> cipher_;
  std::unique_ptr<SecretCatalog> catalog_;
  std::unique_ptr<FunctionCatalog> functions_;
};

INSTANTIATE_TEST_SUITE_P(Stores, SecretCatalogTest, testing::Values("fake", "sqlite"),
                         [](const auto& test) { return std::string(test.param); });

TEST_P(SecretCatalogTest, KeepsKeysAndGivesNoValues) {
  const auto made = Create({{"user", "alice"}, {"password", "hunter22"}});
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_THAT(made->secret.keys, ElementsAre("password", "user"));
  EXPECT_EQ(Create({{"a", "b"}}).status().code(), absl::StatusCode::kAlreadyExists);
  const auto got = Await<absl::StatusOr<Secret>>([&](auto done) { catalog_->Get(kDb, done); });
  EXPECT_EQ(*got, made->secret);
  ASSERT_TRUE(Create({{"a", "b"}}, "other").ok());
  const auto page = Await<absl::StatusOr<ListSecretsResult>>(
      [&](auto done) { catalog_->List({.parent = "spaces/default", .page_size = 1}, done); });
  ASSERT_EQ(page->secrets.size(), 1U);
  EXPECT_EQ(page->secrets[0], made->secret);
  EXPECT_FALSE(page->next_page_token.empty());
}

TEST_P(SecretCatalogTest, RefusesWithoutRepeatingValues) {
  EXPECT_EQ(FieldOf(Create({}).status()), "secret.values");
  EXPECT_EQ(FieldOf(Create({{"a b", "hunter22"}}).status()), "secret.values");
  EXPECT_EQ(FieldOf(Create({{"a", ""}}).status()), "secret.values[\"a\"]");
  const std::string large(SecretCatalog::kValueBytesMax + 1, 'x');
  const absl::Status status = Create({{"a", large}}).status();
  EXPECT_EQ(FieldOf(status), "secret.values[\"a\"]");
  EXPECT_LT(status.message().size(), 200U);
  Strings many;
  for (int i = 0; i < 5; ++i) many["k" + std::to_string(i)] = large.substr(1);
  EXPECT_EQ(FieldOf(Create(many).status()), "secret.values");
}

TEST_P(SecretCatalogTest, ChangesValuesAndTellsTheFunctions) {
  const auto made = Create({{"user", "alice"}, {"password", "one"}});
  ASSERT_TRUE(MakeFunction({"db"}).ok());
  EXPECT_EQ(Fed(), (Strings{{"db.password", "one"}, {"db.user", "alice"}}));
  const std::int64_t before = MakeFunction({"db"}).ok() ? 0 : made->revision + 1;
  const auto changed = Update({{"password", "two"}}, {"values.password"}, made->secret.Etag());
  ASSERT_TRUE(changed.ok()) << changed.status();
  EXPECT_GT(changed->revision, before);
  EXPECT_EQ(Fed(changed->revision - 1), (Strings{{"db.password", "two"}, {"db.user", "alice"}}));
  EXPECT_EQ(Update({}, {}, made->secret.Etag()).status().code(), absl::StatusCode::kAborted);
  ASSERT_TRUE(Update({}, {"values.user"}).ok()) << "not given, it goes";
  EXPECT_EQ(Fed(), (Strings{{"db.password", "two"}}));
  EXPECT_EQ(FieldOf(Update({}, {"values.password"}).status()), "secret.values") << "the last";
  EXPECT_EQ(FieldOf(Update({}, {"what"}).status()), "update_mask");
  ASSERT_TRUE(Update({{"new", "three"}}).ok());
  EXPECT_EQ(Fed(), (Strings{{"db.new", "three"}}));
}

TEST_P(SecretCatalogTest, AFunctionNamesSecretsThatExist) {
  EXPECT_EQ(FieldOf(MakeFunction({"db"}).status()), "function.secrets[0]");
  ASSERT_TRUE(Create({{"a", "b"}}).ok());
  EXPECT_EQ(FieldOf(MakeFunction({"db", "db"}).status()), "function.secrets[1]");
  ASSERT_TRUE(MakeFunction({"db"}).ok());
  const absl::Status refused = Delete().status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("functions/f@1"));
  SpecInput none;
  ASSERT_TRUE(Await<absl::StatusOr<Mutation>>([&](auto done) {
                functions_->Update(
                    {.name = "spaces/default/functions/f", .input = none, .mask = {"secrets"}},
                    done);
              }).ok());
  EXPECT_EQ(Delete("stale").status().code(), absl::StatusCode::kAborted);
  EXPECT_TRUE(Delete().ok()) << "only a version that no call reaches names it";
  EXPECT_EQ(Delete().status().code(), absl::StatusCode::kNotFound);
}

// Twice the same secret is one, given once and listed once.
TEST_P(SecretCatalogTest, SecretsThatSignAreGivenAndInUseLikeOthers) {
  FunctionSpec spec = HttpSpec();
  std::get<HttpDriver>(spec.driver).signing_secret = "db";
  spec.async.callback_signing_secret = "hooks";
  const auto violations = FieldViolationsOf(MakeFunction(spec).status());
  ASSERT_EQ(violations.size(), 2U);
  EXPECT_EQ(violations[0].field, "function.http.signing_secret");
  EXPECT_EQ(violations[1].field, "function.async.callback_signing_secret");
  ASSERT_TRUE(Create({{"key", "one"}}).ok());
  ASSERT_TRUE(Create({{"key", "two"}}, "hooks").ok());
  ASSERT_TRUE(Create({{"key", "three"}}, "other").ok());
  ASSERT_TRUE(MakeFunction(spec).ok());
  EXPECT_EQ(Fed(), (Strings{{"db.key", "one"}, {"hooks.key", "two"}}));
  const auto changed = Update({{"key", "new"}});
  ASSERT_TRUE(changed.ok()) << changed.status();
  EXPECT_EQ(Fed(changed->revision - 1), (Strings{{"db.key", "new"}, {"hooks.key", "two"}}));
  EXPECT_THAT(std::string(Delete().status().message()), HasSubstr("functions/f@1"));
}

TEST_P(SecretCatalogTest, RotatesEveryValueAndForgetsTheOldKey) {
  for (int i = 0; i < 7; ++i) {
    Strings values;
    for (int k = 0; k < 60; ++k) values["k" + std::to_string(k)] = "v" + std::to_string(i);
    ASSERT_TRUE(Create(values, "s" + std::to_string(i)).ok());
  }
  const std::string before = *cipher_->CurrentKey();
  EXPECT_EQ(*Rotate(), 420) << "in more than one transaction";
  EXPECT_NE(*cipher_->CurrentKey(), before);
  EXPECT_TRUE(Read(*store_, [&](FunctionReader& reader) -> absl::Status {
                ASSIGN_OR_RETURN(const auto values, reader.SecretValues({"default", "s3"}));
                for (const SecretValue& value : values) {
                  EXPECT_EQ(value.sealed.key_id, *cipher_->CurrentKey());
                  EXPECT_EQ(*cipher_->Open(value.Binding(), value.sealed), "v3");
                }
                return absl::OkStatus();
              }).ok());
  // What was interrupted goes on with the key that is there.
  ASSERT_TRUE(cipher_->AddKey().ok());
  const std::string current = *cipher_->CurrentKey();
  EXPECT_EQ(*Rotate(), 420);
  EXPECT_EQ(*cipher_->CurrentKey(), current);
}

}  // namespace
}  // namespace penstock::functions
