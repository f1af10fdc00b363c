#include "libs/transcode/descriptor_set.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <google/api/annotations.pb.h>
#include <google/protobuf/any.pb.h>
#include <gtest/gtest.h>

#include <string>

#include "libs/protojson/protojson.h"
#include "libs/transcode/transcoder.h"
#include "tests/unit/libs/transcode/case.pb.h"

namespace penstock::transcode {
namespace {

using google::protobuf::FileDescriptorProto;
using google::protobuf::FileDescriptorSet;
using ::testing::HasSubstr;

// The file of the cases with rules for its first method, and under another name: nothing of it is
// compiled in.
FileDescriptorSet CaseFiles() {
  FileDescriptorSet files;
  FileDescriptorProto* file = files.add_file();
  testing::transcode::cases::CaseRequest::descriptor()->file()->CopyTo(file);
  std::string bytes = file->SerializeAsString();
  const std::string from = "penstock.testing.transcode.cases";
  const std::string to = "penstock.testing.transcode.user_";
  for (std::size_t at = 0; (at = bytes.find(from, at)) != std::string::npos;) {
    bytes.replace(at, from.size(), to);
  }
  EXPECT_TRUE(file->ParseFromString(bytes));
  file->set_name("user.proto");
  auto* rule = file->mutable_service(0)->mutable_method(0)->mutable_options()->MutableExtension(
      google::api::http);
  rule->set_patch("/users/{text}");
  rule->set_body("*");
  auto* more = rule->add_additional_bindings();
  more->set_patch("/inner/{inner.text}");
  more->set_body("inner");
  rule->add_additional_bindings()->set_get("/users/{text}");
  auto* raw = rule->add_additional_bindings();
  raw->set_post("/files");
  raw->set_body("file");
  raw->set_response_body("file");
  return files;
}

class DescriptorSetTest : public ::testing::Test {
 protected:
  DescriptorSetTest() {
    auto set = DescriptorSet::Build(CaseFiles());
    EXPECT_TRUE(set.ok()) << set.status();
    set_ = *set;
    auto table = RouteTable::Build(*set_->Bindings());
    EXPECT_TRUE(table.ok()) << table.status();
    table_ = std::make_unique<RouteTable>(*std::move(table));
  }

  // The JSON of the request message.
  std::string Request(std::string_view method, const std::string& path, std::string_view query = {},
                      std::string_view body = {}) const {
    const MatchResult match = table_->Match(method, path);
    if (match.route == nullptr) return "no route";
    const auto message =
        BuildRequest(*match.route, match.bindings, query, {"application/json", body});
    if (!message.ok()) return std::string(message.status().message());
    return protojson::PrintJson(**message).value_or("no JSON");
  }

  std::shared_ptr<const DescriptorSet> set_;
  std::unique_ptr<RouteTable> table_;
};

TEST_F(DescriptorSetTest, ReadsAndWritesEveryTypeAsCompiledOnes) {
  const std::string_view bodies[] = {
      R"({"text":"x","i32":1,"i64":"2","u32":3,"u64":"4","s32":-1,"s64":"-2","f32":5,"f64":"6"})",
      R"({"text":"x","real":0.5,"bigReal":"NaN","flag":true,"raw":"AP8=","color":"COLOR_RED"})",
      R"({"text":"x","words":["a"],"numbers":[1],"colors":["COLOR_RED",7],"flags":[true,false]})",
      R"({"text":"x","inner":{"inner":{"number":1}},"inners":[{"text":"a"},{}]})",
      R"({"text":"x","labels":{"a":"b"},"switches":{"1":true},"named":{"n":{"number":1}}})",
      R"({"text":"x","maybe":0,"middle":{}})",
      R"({"text":"x","at":"2026-01-02T03:04:05.678Z","span":"1.500s","updateMask":"a,b.cD"})",
      R"({"text":"x","wrappedText":"","wrappedI32":0,"wrappedI64":"1","wrappedFlag":false})",
      R"({"text":"x","times":["2026-01-02T03:04:05Z"],"wrappedNumbers":[1,2]})",
      R"({"text":"x","fields":{"a":[1,{"b":null},"c"]},"value":null,"list":[null,[true]]})",
      R"({"text":"x","any":{"@type":"x.com/google.protobuf.Duration","value":"1s"}})",
      R"({"text":"x","any":{"@type":"x.com/penstock.testing.transcode.user_.Inner","number":1}})",
      R"({"text":"x","any":{"@type":"x.com/google.api.HttpRule","get":"/x"}})",
      R"({"text":"x","file":{"contentType":"a/b","data":"YQ=="}})",
  };
  for (const std::string_view body : bodies) {
    EXPECT_EQ(Request("PATCH", "/users/x", "", body), body);
  }
}

TEST_F(DescriptorSetTest, TakesQueriesAndMasks) {
  EXPECT_EQ(Request("GET", "/users/x",
                    "at=2026-01-02T03:04:05Z&span=1s&wrappedI32=4&updateMask=a&inner.number=3"),
            R"({"text":"x","inner":{"number":3},"at":"2026-01-02T03:04:05Z","span":"1s",)"
            R"("updateMask":"a","wrappedI32":4})");
  EXPECT_EQ(Request("PATCH", "/inner/x", "", R"({"number":1})"),
            R"({"inner":{"text":"x","number":1},"updateMask":"number"})");
  EXPECT_EQ(Request("POST", "/files", "", "hi"),
            R"({"file":{"contentType":"application/json","data":"aGk="}})");
}

TEST_F(DescriptorSetTest, NamesBadPlaces) {
  EXPECT_EQ(Request("GET", "/users/x", "span=1"),
            "span: expected a duration in seconds, as in \"1.5s\"");
  EXPECT_EQ(Request("PATCH", "/users/x", "", R"({"fields":{"a":1,"a":2}})"),
            "fields.a: is given twice");
  EXPECT_THAT(Request("PATCH", "/users/x", "", R"({"any":{"@type":"x.com/no.Such"}})"),
              HasSubstr("expected the URL of a known type"));
}

TEST_F(DescriptorSetTest, RendersRawBodies) {
  const MatchResult match = table_->Match("POST", "/files");
  const auto message = BuildRequest(*match.route, match.bindings, "", {"text/plain", "hello"});
  ASSERT_TRUE(message.ok());
  const auto body = BuildResponse(*match.route, **message);
  ASSERT_TRUE(body.ok());
  EXPECT_EQ(body->content_type, "text/plain");
  EXPECT_EQ(body->data, "hello");
}

// A set that goes leaves nothing behind that a later one at the same addresses would meet.
TEST(DescriptorSetLifeTest, SetsComeAndGo) {
  for (int i = 0; i < 50; ++i) {
    const auto set = DescriptorSet::Build(CaseFiles());
    ASSERT_TRUE(set.ok());
    const auto table = RouteTable::Build(*(*set)->Bindings());
    ASSERT_TRUE(table.ok());
    const MatchResult match = table->Match("GET", "/users/x");
    const auto message = BuildRequest(*match.route, match.bindings, "span=1s", {});
    ASSERT_TRUE(message.ok()) << message.status();
    EXPECT_EQ(protojson::PrintJson(**message).value_or(""), R"({"text":"x","span":"1s"})");
  }
}

std::string Refusal(const FileDescriptorSet& files) {
  const auto set = DescriptorSet::Build(files);
  return set.ok() ? "accepted" : std::string(set.status().message());
}

TEST(DescriptorSetRefusalTest, SaysWhatIsWrong) {
  EXPECT_THAT(std::string(DescriptorSet::Parse("\xff").status().message()),
              HasSubstr("FileDescriptorSet"));
  FileDescriptorSet files;
  FileDescriptorProto* a = files.add_file();
  a->set_name("a.proto");
  a->add_dependency("b.proto");
  EXPECT_THAT(Refusal(files), HasSubstr("b.proto: is imported, but is not in the set"));
  FileDescriptorProto* b = files.add_file();
  b->set_name("b.proto");
  b->add_dependency("a.proto");
  EXPECT_THAT(Refusal(files), HasSubstr("import each other"));
  b->clear_dependency();
  EXPECT_EQ(Refusal(files), "accepted");
  auto* type = a->add_message_type();
  type->set_name("M");
  type->add_field()->set_name("f");
  EXPECT_THAT(Refusal(files), HasSubstr("a.proto: M.f"));
}

}  // namespace
}  // namespace penstock::transcode
