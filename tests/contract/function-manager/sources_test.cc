// Sources of functions: uploads, downloads, and when they go.
#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "libs/archive/pack.h"
#include "libs/base/ids.h"
#include "tests/contract/function-manager/fixture.h"

namespace penstock::functions {
namespace {

using testing::HasSubstr;

class SourcesTest : public FunctionManagerTest {
 protected:
  absl::StatusOr<pb::UploadSourceResponse> Upload(const std::string& bytes,
                                                  const std::string& parent = "spaces/default",
                                                  std::size_t piece = 100'000) {
    auto context = NewContext();
    pb::UploadSourceResponse response;
    const auto writer = manager_->UploadSource(context.get(), &response);
    pb::UploadSourceRequest request;
    request.set_parent(parent);
    for (std::size_t at = 0; at < std::max<std::size_t>(bytes.size(), 1); at += piece) {
      request.mutable_content()->set_data(bytes.substr(at, piece));
      if (!writer->Write(request)) break;
      request.clear_parent();
    }
    writer->WritesDone();
    const grpc::Status status = writer->Finish();
    if (!status.ok()) return rpc::FromGrpcStatus(status);
    return response;
  }
  absl::StatusOr<std::string> Download(const std::string& digest,
                                       const std::string& parent = "spaces/default") {
    auto context = NewContext();
    pb::DownloadSourceRequest request;
    request.set_parent(parent);
    request.set_digest(digest);
    const auto reader = manager_->DownloadSource(context.get(), request);
    google::api::HttpBody piece;
    std::string bytes;
    while (reader->Read(&piece)) bytes += piece.data();
    const grpc::Status status = reader->Finish();
    if (!status.ok()) return rpc::FromGrpcStatus(status);
    return bytes;
  }
  static pb::Function Archive(const std::string& digest) {
    pb::Function function;
    function.mutable_process()->set_runtime("python3");
    function.mutable_process()->set_source_digest(digest);
    function.mutable_process()->set_entry("main.py");
    return function;
  }
  // An archive with one file, which may not be run.
  std::string Packed(const std::string& text, const std::string& file = "main.py") {
    const std::filesystem::path in = folder_.File("in");
    std::filesystem::remove_all(in);
    std::filesystem::create_directories(in);
    std::ofstream(in / file) << text;
    const std::string packed = folder_.File("packed");
    EXPECT_TRUE(archive::Pack(in.string(), packed).ok());
    std::ifstream bytes(packed, std::ios::binary);
    return {std::istreambuf_iterator<char>(bytes), {}};
  }
  // Waits until the sweep, of a grace of one second, has removed the source.
  bool Goes(const std::string& digest) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (Download(digest).ok()) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::yield();
    }
    return true;
  }
};

TEST_P(SourcesTest, GivesBackWhatWasUploaded) {
  std::string bytes;
  for (unsigned i = 0; i < 3'000'000; ++i) bytes += static_cast<char>(i * i % 251);
  const auto stored = Upload(bytes);
  ASSERT_TRUE(stored.ok()) << stored.status();
  EXPECT_EQ(stored->digest(), Sha256Hex(bytes));
  EXPECT_EQ(stored->size_bytes(), 3'000'000);
  EXPECT_EQ(*Download(stored->digest()), bytes);
  EXPECT_EQ(Upload(bytes)->digest(), stored->digest());
  Restart();
  EXPECT_EQ(*Download(stored->digest()), bytes);
}

TEST_P(SourcesTest, KeepsSpacesApart) {
  const std::string digest = Upload("x")->digest();
  EXPECT_EQ(Download(digest, "spaces/other").status().code(), absl::StatusCode::kNotFound);
}

TEST_P(SourcesTest, RefusesBadInputNamingTheField) {
  EXPECT_THAT(std::string(Upload("").status().message()), HasSubstr("content"));
  EXPECT_THAT(std::string(Upload("x", "default").status().message()), HasSubstr("parent"));
  EXPECT_THAT(std::string(Download("../functions.db").status().message()), HasSubstr("digest"));
  EXPECT_EQ(Download(std::string(64, 'a')).status().code(), absl::StatusCode::kNotFound);
}

TEST_P(SourcesTest, RefusesASourceThatIsTooLargeAndKeepsNothingOfIt) {
  StopApp();
  sources_bytes_max_ = 1'000'000;
  Restart();
  const auto stored = Upload(std::string(1'000'001, 'x'));
  EXPECT_EQ(stored.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(stored.status().message()), HasSubstr("1000000 bytes"));
  EXPECT_TRUE(Upload(std::string(1'000'000, 'x')).ok());
  EXPECT_TRUE(std::filesystem::is_empty(folder_.File("data/sources/up")));
}

TEST_P(SourcesTest, AFunctionNamesOnlyASourceThatIsThere) {
  const auto missing = Create("f", Archive(std::string(64, 'a')));
  EXPECT_EQ(missing.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(missing.status().message()), HasSubstr("process.source_digest"));
  const std::string digest = Upload(Packed("x"))->digest();
  const auto made = Create("f", Archive(digest));
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ(made->process().source_digest(), digest);
  EXPECT_EQ(made->process().entry(), "main.py");
}

TEST_P(SourcesTest, AnArchiveHasWhatItsFunctionRuns) {
  const auto refused = Create("f", Archive(Upload("no archive")->digest()));
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("process.source_digest"));
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("is not a tar archive"));

  pb::Function function = Archive(Upload(Packed("x"))->digest());
  ASSERT_TRUE(Create("f", function).ok());
  pb::UpdateFunctionRequest request;
  request.mutable_function()->set_name(NameOf("f"));
  pb::ProcessDriver& process = *request.mutable_function()->mutable_process();
  process = function.process();
  process.set_entry("other.py");
  const auto missing = Update(request);
  EXPECT_THAT(std::string(missing.status().message()), HasSubstr("process.entry"));
  EXPECT_THAT(std::string(missing.status().message()),
              HasSubstr("there is no file \"other.py\" in the archive"));
  process.set_entry("main.py");
  process.set_runtime("exec");
  EXPECT_THAT(std::string(Update(request).status().message()), HasSubstr("may not be run"));
  EXPECT_EQ(Get("f")->version(), 1);
}

TEST_P(SourcesTest, SourcesGoWhenNoVersionNamesThem) {
  StopApp();
  sources_grace_ = std::chrono::seconds(1);
  Restart();
  const std::string named = Upload(Packed("named"))->digest();
  ASSERT_TRUE(Create("f", Archive(named)).ok());
  const std::string unnamed = Upload("unnamed")->digest();
  EXPECT_TRUE(Goes(unnamed));
  EXPECT_TRUE(Download(named).ok());
  ASSERT_TRUE(Delete("f").ok());
  EXPECT_TRUE(Goes(named));
}

INSTANTIATE_TEST_SUITE_P(Over, SourcesTest,
                         testing::Values(Transport::kTcp, Transport::kInProcess));

}  // namespace
}  // namespace penstock::functions
