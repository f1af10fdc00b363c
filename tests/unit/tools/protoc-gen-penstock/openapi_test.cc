#include "tools/protoc-gen-penstock/openapi.h"

#include <gmock/gmock.h>
#include <google/protobuf/compiler/importer.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <sstream>

#include "libs/protojson/protojson.h"

namespace penstock::protoc_gen {
namespace {

namespace json = boost::json;
using testing::HasSubstr;

class Problems : public google::protobuf::compiler::MultiFileErrorCollector {
 public:
  void AddError(const std::string& file, int line, int, const std::string& message) override {
    ADD_FAILURE() << file << ":" << line << ": " << message;
  }
};

class OpenApiTest : public testing::Test {
 protected:
  OpenApiTest() {
    std::istringstream roots(PENSTOCK_PROTO_ROOTS);
    for (std::string root; std::getline(roots, root, ':');) tree_.MapPath("", root);
  }

  ~OpenApiTest() override { protojson::ForgetTypes(importer_.pool()); }

  absl::StatusOr<std::string> Generate(std::string_view base = "{}") {
    return OpenApiDocument({importer_.Import("library.proto")}, base, "1.2.3");
  }

  // What the document has at a JSON pointer, as text.
  std::string At(std::string_view pointer) {
    if (document_.is_null()) {
      const auto text = Generate();
      EXPECT_TRUE(text.ok()) << text.status();
      document_ = json::parse(*text);
    }
    json::error_code error;
    const json::value* found = document_.find_pointer(pointer, error);
    return found == nullptr ? "nothing" : json::serialize(*found);
  }

 private:
  google::protobuf::compiler::DiskSourceTree tree_;
  Problems problems_;
  google::protobuf::compiler::Importer importer_{&tree_, &problems_};
  json::value document_;
};

TEST_F(OpenApiTest, DescribesARead) {
  EXPECT_EQ(At("/info/version"), R"("1.2.3")");
  const std::string get = "/paths/~1v1~1shelves~1{shelf}~1books~1{book}/get";
  EXPECT_EQ(At(get + "/operationId"), R"("Library_GetBook")");
  EXPECT_EQ(At(get + "/summary"), R"("Reads a book")");
  EXPECT_EQ(At(get + "/description"), R"("Reads a book. NOT_FOUND when there is none.")");
  EXPECT_EQ(At(get + "/tags"), R"(["Library"])");
  EXPECT_EQ(At(get + "/parameters/0"),
            R"({"name":"shelf","in":"path","required":true,)"
            R"("description":"Of `name`: `shelves/{shelf}/books/{book}`.",)"
            R"("schema":{"type":"string"}})");
  EXPECT_EQ(At(get + "/parameters/2"), "nothing");
  EXPECT_EQ(At(get + "/requestBody"), "nothing");
  EXPECT_EQ(At(get + "/responses/200/content/application~1json/schema/$ref"),
            R"("#/components/schemas/library.v1.Book")");
  EXPECT_EQ(At(get + "/responses/404/description"), R"("NOT_FOUND when there is none.")");
  EXPECT_EQ(At(get + "/responses/default/$ref"), R"("#/components/responses/Error")");
  EXPECT_EQ(At("/paths/~1v2~1shelves~1{shelf}~1books~1{book}/get/operationId"),
            R"("Library_GetBook_2")");
  EXPECT_EQ(At("/tags"), R"([{"name":"Library","description":"Lends books."}])");
}

TEST_F(OpenApiTest, DescribesQueriesAndStreams) {
  const std::string list = "/paths/~1v1~1shelves~1{shelf}~1books/get";
  EXPECT_EQ(At(list + "/parameters/1/name"), R"("place.room")");
  EXPECT_EQ(At(list + "/parameters/2"),
            R"({"name":"access","in":"query","description":"Only these.",)"
            R"("schema":{"type":"array","items":{"type":"string","description":)"
            R"("* `ACCESS_UNSPECIFIED`: Not set.\n* `OPEN`: Everybody.",)"
            R"("enum":["ACCESS_UNSPECIFIED","OPEN"]}}})");
  EXPECT_EQ(At(list + "/parameters/3/style"), R"("deepObject")");
  EXPECT_EQ(At(list + "/parameters/4"),
            R"({"name":"reader","in":"query","description":"Whom to ask.","required":true,)"
            R"("schema":{"type":"string"}})");
  EXPECT_EQ(At(list + "/parameters/5"), "nothing");
  EXPECT_EQ(At(list + "/responses/200/content/application~1x-ndjson/schema/$ref"),
            R"("#/components/schemas/library.v1.Book")");
  EXPECT_EQ(At(list + "/responses/200/content/text~1event-stream/schema"), R"({"type":"string"})");
}

TEST_F(OpenApiTest, DescribesBodies) {
  const std::string patch = "/paths/~1v1~1shelves~1{shelf}~1books~1{book}/patch";
  EXPECT_EQ(At(patch + "/requestBody"),
            R"({"description":"The book.","content":{"application/json":{"schema":)"
            R"({"$ref":"#/components/schemas/library.v1.Book"}}},"required":true})");
  EXPECT_EQ(At(patch + "/parameters/2"),
            R"({"name":"updateMask","in":"query","description":"Which fields change.",)"
            R"("schema":{"type":"string"}})");
  const std::string lend = "/paths/~1v1~1shelves~1{shelf}~1books~1{book}:lend/post";
  EXPECT_EQ(At(lend + "/requestBody/content/application~1json/schema"),
            R"({"type":"object","required":["reader"],"properties":{)"
            R"("reader":{"type":"string","description":"To whom. Required."},)"
            R"("time":{"type":"string","pattern":"^-?[0-9]+(\\.[0-9]{1,9})?s$",)"
            R"("description":"For how long."}}})");
  EXPECT_EQ(At(lend + "/responses/200/content/application~1json/schema"), R"({"type":"object"})");
  const std::string raw = "/paths/~1v1~1policies~1{segment2}~1{segment3}/post";
  EXPECT_EQ(At(raw + "/requestBody/content"), R"({"*/*":{"schema":{}}})");
  EXPECT_EQ(At(raw + "/responses/202/content"), R"({"*/*":{"schema":{}}})");
}

TEST_F(OpenApiTest, LeavesOutWhatHasNoOperation) {
  EXPECT_EQ(At("/paths/~1v1~1all"), R"(nothing)");
  const auto text = Generate();
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_THAT(*text, Not(HasSubstr("Hide")));
}

TEST_F(OpenApiTest, DescribesEveryKindOfField) {
  const std::string book = "/components/schemas/library.v1.Book/properties";
  EXPECT_EQ(At(book + "/createTime"),
            R"({"type":"string","format":"date-time","description":"When it came. Output only.",)"
            R"("readOnly":true})");
  EXPECT_EQ(At(book + "/pageCount/format"), R"("int64")");
  EXPECT_EQ(At(book + "/access/description"),
            R"("Who may read it.\n\n* `ACCESS_UNSPECIFIED`: Not set.\n* `OPEN`: Everybody.")");
  EXPECT_EQ(At(book + "/picture/examples"), R"(["cover"])");
  EXPECT_EQ(At(book + "/content/contentEncoding"), R"("base64")");
  EXPECT_EQ(At(book + "/more/items/$ref"), R"("#/components/schemas/library.v1.Book")");
  EXPECT_EQ(At(book + "/labels/additionalProperties"), R"({"type":"string"})");
  EXPECT_EQ(At(book + "/price/type"), R"(["number","null"])");
  EXPECT_EQ(At(book + "/note"), R"({"description":"Anything.\n\nAny JSON value."})");
  EXPECT_EQ(At(book + "/old/deprecated"), "true");
}

TEST_F(OpenApiTest, AddsToWhatIsWrittenByHand) {
  const auto text =
      Generate(R"({"info":{"title":"T"},"paths":{"/v1/shelves/{shelf}/books":{"post":{"$ref":)"
               R"("#/components/schemas/library.v1.LendBookRequest"}}},)"
               R"("components":{"schemas":{"library.v1.Book":{"type":"string"}}}})");
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_THAT(*text, HasSubstr(R"("library.v1.Book":{"type":"string"})"));
  EXPECT_THAT(*text, HasSubstr(R"("library.v1.LendBookRequest":{"type":"object")"));
  EXPECT_THAT(*text, HasSubstr(R"({"title":"T","version":"1.2.3"})"));
}

TEST_F(OpenApiTest, SaysWhatIsWrongWithIt) {
  const auto failure = [this](std::string_view base) {
    return std::string(Generate(base).status().message());
  };
  EXPECT_THAT(failure("{"), HasSubstr("expected a JSON object"));
  EXPECT_THAT(failure(R"({"info":1})"), HasSubstr("expected objects as info"));
  EXPECT_THAT(failure(R"({"x":{"$ref":"#/components/schemas/no.Such"}})"),
              HasSubstr("no such message: no.Such"));
  EXPECT_THAT(failure(R"({"paths":{"/v1/shelves/{shelf}/books":{"get":{}}}})"),
              HasSubstr("GET /v1/shelves/{shelf}/books"));
  EXPECT_THAT(failure(R"({"paths":{"/v1/shelves/{id}/books":{}}})"),
              HasSubstr("/v1/shelves/{id}/books and /v1/shelves/{shelf}/books"));
}

}  // namespace
}  // namespace penstock::protoc_gen
