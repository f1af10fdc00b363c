#include "libs/rpc/peer_auth.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "libs/base/callback_guard.h"
#include "libs/base/ids.h"
#include "libs/base/status.h"
#include "libs/rpc/metadata.h"

namespace penstock::rpc {
namespace {

constexpr char kField[] = "peer.token_file";
constexpr std::size_t kTokenBytes = 32;
constexpr std::size_t kTokenLengthMin = 32;
constexpr std::size_t kFileBytesMax = 4096;

absl::Status FileError(std::string_view action, const std::string& path, int error) {
  return absl::FailedPreconditionError(
      fmt::format("{}: cannot {} {}: {}", kField, action, path, std::strerror(error)));
}

// NOT_FOUND when the file does not exist.
absl::StatusOr<std::string> ReadToken(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) {
    if (errno == ENOENT) return absl::NotFoundError(path);
    return FileError("read", path, errno);
  }
  std::string token(kFileBytesMax, '\0');
  const ssize_t size = ::read(descriptor, token.data(), token.size());
  const int error = errno;
  ::close(descriptor);
  if (size < 0) return FileError("read", path, error);
  token.resize(static_cast<std::size_t>(size));
  while (!token.empty() && std::strchr(" \t\r\n", token.back()) != nullptr) token.pop_back();
  const bool printable =
      std::all_of(token.begin(), token.end(), [](char c) { return c > ' ' && c < 0x7f; });
  if (token.size() < kTokenLengthMin || !printable) {
    return absl::FailedPreconditionError(
        fmt::format("{}: {} must hold at least {} printable characters on one line", kField, path,
                    kTokenLengthMin));
  }
  return token;
}

absl::Status WriteAll(const std::string& path, const std::string& content) {
  const int descriptor = ::open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
  if (descriptor < 0) return FileError("create", path, errno);
  const ssize_t written = ::write(descriptor, content.data(), content.size());
  const bool stored = written == static_cast<ssize_t>(content.size()) && ::fsync(descriptor) == 0;
  const int error = written >= 0 && !stored ? EIO : errno;
  ::close(descriptor);
  return stored ? absl::OkStatus() : FileError("write", path, error);
}

// Makes the file with its whole content appear at once. Of several processes one wins; all then
// read.
absl::Status CreateToken(const std::string& path) {
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  std::error_code ignored;
  if (!folder.empty()) std::filesystem::create_directories(folder, ignored);
  const std::string temporary = fmt::format("{}.{}", path, NewUuid());
  absl::Status status = WriteAll(temporary, RandomHex(kTokenBytes) + "\n");
  if (status.ok() && ::link(temporary.c_str(), path.c_str()) != 0 && errno != EEXIST) {
    status = FileError("create", path, errno);
  }
  ::unlink(temporary.c_str());
  return status;
}

}  // namespace

absl::StatusOr<std::shared_ptr<const PeerAuth>> PeerAuth::Load(const std::string& path) {
  AssertMayBlock("peer token file");
  if (path.empty()) return FieldError(kField, "must name a file");
  absl::StatusOr<std::string> token = ReadToken(path);
  if (absl::IsNotFound(token.status())) {
    RETURN_IF_ERROR(CreateToken(path));
    token = ReadToken(path);
  }
  if (!token.ok()) return token.status();
  return std::shared_ptr<const PeerAuth>(new PeerAuth(*std::move(token)));
}

std::shared_ptr<const PeerAuth> PeerAuth::Random() {
  return std::shared_ptr<const PeerAuth>(new PeerAuth(RandomHex(kTokenBytes)));
}

absl::Status PeerAuth::Check(const grpc::CallbackServerContext& context) const {
  const auto found = context.client_metadata().find(kPeerTokenKey);
  if (found == context.client_metadata().end()) return CheckToken({});
  return CheckToken({found->second.data(), found->second.size()});
}

absl::Status PeerAuth::Check(const CallContext& context) const {
  return CheckToken(context.Metadata(kPeerTokenKey));
}

absl::Status PeerAuth::CheckToken(std::string_view given) const {
  if (given.empty()) {
    return absl::UnauthenticatedError(
        fmt::format("this method is for Penstock's services: the call has no {} (set {})",
                    kPeerTokenKey, kField));
  }
  if (!EqualsConstantTime(given, token_)) {
    return absl::PermissionDeniedError(
        fmt::format("the peer token is not the one of this installation (check {})", kField));
  }
  return absl::OkStatus();
}

std::pair<std::string, std::string> PeerAuth::Metadata() const { return {kPeerTokenKey, token_}; }

void PeerAuth::Attach(grpc::ClientContext& context) const {
  context.AddMetadata(kPeerTokenKey, token_);
}

}  // namespace penstock::rpc
