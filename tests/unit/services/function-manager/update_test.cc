#include "services/function-manager/domain/update.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "libs/base/status.h"
#include "tests/unit/services/function-manager/sample.h"

namespace penstock::functions {
namespace {

using Mask = std::vector<std::string>;

SpecInput HttpInput() { return {HttpSpec(), kHttp}; }

TEST(UpdateTest, ChangesWhatIsSetWithoutAMask) {
  SpecInput input = HttpInput();
  input.spec.description = "new";
  input.fields_set |= kDescription;
  EXPECT_EQ(*FieldsToChange({}, input), kHttp | kDescription);
}

TEST(UpdateTest, ChangesTheNamedFieldsAlsoWhenTheyAreNotSet) {
  EXPECT_EQ(*FieldsToChange({"description", "max_concurrency"}, HttpInput()),
            kDescription | kMaxConcurrency);
  FunctionSpec current = PythonSpec();
  current.description = "old";
  current.metadata = {{"a", "b"}};
  const FunctionSpec merged = Merge(current, HttpInput(), kDescription);
  EXPECT_EQ(merged.description, "");
  EXPECT_EQ(merged.metadata, current.metadata);
  EXPECT_EQ(merged.driver, current.driver);
}

TEST(UpdateTest, ReplacesTheDriverWhole) {
  FunctionSpec current = HttpSpec("http://old/");
  std::get<HttpDriver>(current.driver).headers = {{"X", "y"}};
  EXPECT_EQ(Merge(current, HttpInput(), *FieldsToChange({"http"}, HttpInput())).driver,
            HttpSpec().driver);
  EXPECT_EQ(Merge(PythonSpec(), HttpInput(), kHttp).driver, HttpSpec().driver);
}

TEST(UpdateTest, ReplacesEverythingForAStar) {
  FunctionSpec current = PythonSpec();
  current.description = "old";
  current.environment = {{"A", "1"}};
  EXPECT_EQ(Merge(current, HttpInput(), *FieldsToChange({"*"}, HttpInput())), HttpSpec());
}

TEST(UpdateTest, IgnoresFieldsOfTheServer) {
  EXPECT_EQ(*FieldsToChange({"name", "uid", "etag", "state", "version", "create_time", "timeout"},
                            HttpInput()),
            static_cast<SpecFields>(kTimeout));
}

TEST(UpdateTest, NamesAPathThatCannotBeChanged) {
  for (const auto& [mask, text] : std::vector<std::pair<Mask, std::string>>{
           {{"description", "nmae"}, "\"nmae\" is not a field that can be changed"},
           {{"http.url"},
            "\"http.url\" is inside a field that is replaced whole: expected \"http\""},
           {{"maxConcurrency"}, "\"maxConcurrency\" is not a field"},
           {{""}, "\"\" is not a field"},
           {{"*", "http"}, "\"*\" is every field"},
           {{"process"}, "names a driver that `function` does not set"}}) {
    const absl::Status status = FieldsToChange(mask, HttpInput()).status();
    ASSERT_EQ(FieldViolationsOf(status).size(), 1U) << status;
    EXPECT_EQ(FieldViolationsOf(status)[0].field, "update_mask");
    EXPECT_THAT(std::string(status.message()), testing::HasSubstr(text));
  }
}

}  // namespace
}  // namespace penstock::functions
