// The streams of sources. Reactions only pass on: files are written and read on the pool.
#include <google/api/httpbody.pb.h>

#include <atomic>
#include <memory>
#include <utility>

#include "libs/base/worker_pool.h"
#include "libs/rpc/status.h"
#include "services/function-manager/api/function_manager_api.h"

namespace penstock::functions {
namespace {

namespace pb = penstock::functions::v1;

constexpr std::size_t kPieceBytes = std::size_t{256} << 10;
constexpr char kContentType[] = "application/octet-stream";

absl::Status TooBusy() { return absl::ResourceExhaustedError("too much waits: try again later"); }

// One message at a time: it is written before the next is read. Lives until OnDone, which follows
// Finish; nothing is running for it then.
class Upload final : public grpc::ServerReadReactor<pb::UploadSourceRequest> {
 public:
  Upload(grpc::CallbackServerContext* context, pb::UploadSourceResponse* response,
         SourceKeeper& keeper, WorkerPool& pool, CallMetrics& metrics)
      : context_(context), response_(response), keeper_(keeper), pool_(pool), metrics_(metrics) {
    StartRead(&request_);
  }

  void OnReadDone(bool ok) override {
    if (!pool_.TryPost([this, ok] { ok ? Take() : Complete(); })) End(TooBusy());
  }
  void OnDone() override { delete this; }

 private:
  void Take() {
    if (upload_ == nullptr) {
      auto begun = keeper_.Begin(request_.parent());
      if (!begun.ok()) return End(begun.status());
      upload_ = *std::move(begun);
    }
    if (const absl::Status taken = upload_->Append(request_.content().data()); !taken.ok()) {
      return End(taken);
    }
    StartRead(&request_);
  }

  void Complete() {
    if (context_->IsCancelled()) return End(absl::CancelledError("the client is gone"));
    // A stream without a message: its parent is missing, which the keeper says.
    if (upload_ == nullptr) {
      auto begun = keeper_.Begin("");
      if (!begun.ok()) return End(begun.status());
      upload_ = *std::move(begun);
    }
    auto stored = upload_->Commit();
    if (!stored.ok()) return End(stored.status());
    response_->set_digest(stored->digest);
    response_->set_size_bytes(stored->size_bytes);
    End(absl::OkStatus());
  }

  void End(const absl::Status& status) {
    upload_.reset();
    metrics_.Count("UploadSource", status);
    Finish(rpc::ToGrpcStatus(status));
  }

  grpc::CallbackServerContext* const context_;
  pb::UploadSourceResponse* const response_;
  SourceKeeper& keeper_;
  WorkerPool& pool_;
  CallMetrics& metrics_;
  pb::UploadSourceRequest request_;
  std::unique_ptr<SourceStore::Upload> upload_;
};

// One piece at a time: it is sent before the next is read from the file.
class Download final : public grpc::ServerWriteReactor<google::api::HttpBody> {
 public:
  Download(const pb::DownloadSourceRequest& request, SourceKeeper& keeper, WorkerPool& pool,
           CallMetrics& metrics)
      : keeper_(keeper), pool_(pool), metrics_(metrics) {
    Post([this, request] {
      auto opened = keeper_.Open(request.parent(), request.digest());
      if (!opened.ok()) return End(opened.status());
      reader_ = *std::move(opened);
      SendNext();
    });
  }

  void OnWriteDone(bool ok) override {
    if (!ok) return End(absl::CancelledError("the client is gone"));
    Post([this] { SendNext(); });
  }
  void OnDone() override { delete this; }

 private:
  void Post(std::function<void()> job) {
    if (!pool_.TryPost(std::move(job))) End(TooBusy());
  }

  void SendNext() {
    auto bytes = reader_->Read(kPieceBytes);
    if (!bytes.ok() || bytes->empty()) return End(bytes.status());
    piece_.set_content_type(kContentType);
    piece_.set_data(*std::move(bytes));
    StartWrite(&piece_);
  }

  void End(const absl::Status& status) {
    reader_.reset();
    metrics_.Count("DownloadSource", status);
    Finish(rpc::ToGrpcStatus(status));
  }

  SourceKeeper& keeper_;
  WorkerPool& pool_;
  CallMetrics& metrics_;
  std::unique_ptr<SourceStore::Reader> reader_;
  google::api::HttpBody piece_;
};

}  // namespace

grpc::ServerReadReactor<pb::UploadSourceRequest>* FunctionManagerApi::UploadSource(
    grpc::CallbackServerContext* context, pb::UploadSourceResponse* response) {
  return new Upload(context, response, sources_, source_pool_, metrics_);
}

grpc::ServerWriteReactor<google::api::HttpBody>* FunctionManagerApi::DownloadSource(
    grpc::CallbackServerContext*, const pb::DownloadSourceRequest* request) {
  return new Download(*request, sources_, source_pool_, metrics_);
}

}  // namespace penstock::functions
