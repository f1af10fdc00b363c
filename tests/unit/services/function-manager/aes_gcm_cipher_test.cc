#include "services/function-manager/crypto/aes_gcm_cipher.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "libs/base/status.h"

namespace penstock::functions {
namespace {

const std::string kKey(64, 'a');
const std::string kOther(64, 'b');

class AesGcmCipherTest : public testing::Test {
 protected:
  AesGcmCipherTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "penstock-key-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
  }
  ~AesGcmCipherTest() override { std::filesystem::remove_all(folder_); }

  std::string File() const { return (folder_ / "secrets.key").string(); }
  void WriteFile(const std::string& text, mode_t mode = 0600) {
    std::ofstream(File()) << text;
    chmod(File().c_str(), mode);
  }
  static std::unique_ptr<AesGcmCipher> Of(const std::string& keys) {
    auto cipher = AesGcmCipher::Load({.keys = keys});
    EXPECT_TRUE(cipher.ok()) << cipher.status();
    return *std::move(cipher);
  }

  std::filesystem::path folder_;
};

TEST_F(AesGcmCipherTest, OpensWhatItSealedAndNothingElse) {
  const auto cipher = Of(kKey);
  for (const std::string& text : {std::string("x"), std::string(70'000, 'y')}) {
    Sealed sealed = *cipher->Seal("here", text);
    // One byte alone may be in it by chance.
    if (text.size() > 1) {
      EXPECT_EQ(sealed.ciphertext.find(text), std::string::npos);
    }
    EXPECT_EQ(*cipher->Open("here", sealed), text);
    EXPECT_NE(cipher->Seal("here", text)->ciphertext, sealed.ciphertext) << "a new nonce each time";
    EXPECT_EQ(cipher->Open("there", sealed).status().code(), absl::StatusCode::kDataLoss);
    sealed.ciphertext[0] ^= 1;
    EXPECT_EQ(cipher->Open("here", sealed).status().code(), absl::StatusCode::kDataLoss);
    sealed.ciphertext.resize(3);
    EXPECT_EQ(cipher->Open("here", sealed).status().code(), absl::StatusCode::kDataLoss);
  }
}

TEST_F(AesGcmCipherTest, OlderKeysDecryptAndTheFirstEncrypts) {
  const Sealed old = *Of(kKey)->Seal("b", "text");
  const auto both = Of(kOther + "," + kKey);
  EXPECT_EQ(*both->Open("b", old), "text");
  EXPECT_EQ(both->Seal("b", "text")->key_id, *both->CurrentKey());
  EXPECT_NE(old.key_id, *both->CurrentKey());
  EXPECT_EQ(Of(kOther)->Open("b", old).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(both->AddKey().code(), absl::StatusCode::kFailedPrecondition)
      << "a setting cannot be rotated from inside";
}

TEST_F(AesGcmCipherTest, MakesAFileForItsOwnerAndRotatesIt) {
  auto cipher = AesGcmCipher::Load({.key_file = File(), .makes_key = true});
  ASSERT_TRUE(cipher.ok()) << cipher.status();
  EXPECT_TRUE((*cipher)->made_key());
  struct stat found {};
  ASSERT_EQ(stat(File().c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777, 0600U);
  const Sealed old = *(*cipher)->Seal("b", "text");
  ASSERT_TRUE((*cipher)->AddKey().ok());
  EXPECT_NE(*(*cipher)->CurrentKey(), old.key_id);

  // Another start, in the middle of a rotation, has both.
  auto again = AesGcmCipher::Load({.key_file = File(), .makes_key = true});
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_FALSE((*again)->made_key());
  EXPECT_EQ(*(*again)->Open("b", old), "text");
  EXPECT_EQ(*(*again)->CurrentKey(), *(*cipher)->CurrentKey());
  ASSERT_TRUE((*again)->DropOldKeys().ok());
  EXPECT_FALSE((*again)->Open("b", old).ok());
  EXPECT_FALSE((*AesGcmCipher::Load({.key_file = File()}))->Open("b", old).ok());
}

TEST_F(AesGcmCipherTest, RefusesWhatIsNoKeyWithoutRepeatingIt) {
  for (const std::string& keys : {std::string("short"), kKey.substr(1) + "z", kKey + " more"}) {
    const absl::Status status = AesGcmCipher::Load({.keys = keys}).status();
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(FieldViolationsOf(status).at(0).field, "secrets.key");
    EXPECT_EQ(status.message().find(keys), absl::string_view::npos);
  }
  EXPECT_FALSE(AesGcmCipher::Load({.key_file = File()}).ok()) << "a file that is not there";
  WriteFile(kKey, 0644);
  const absl::Status open = AesGcmCipher::Load({.key_file = File()}).status();
  EXPECT_EQ(FieldViolationsOf(open).at(0).field, "secrets.key_file");
  WriteFile("");
  EXPECT_FALSE(AesGcmCipher::Load({.key_file = File()}).ok());
  WriteFile(kKey + "\n");
  EXPECT_TRUE(AesGcmCipher::Load({.key_file = File()}).ok());
}

TEST_F(AesGcmCipherTest, WithoutAKeySaysWhatToDo) {
  const auto cipher = AesGcmCipher::Load({});
  ASSERT_TRUE(cipher.ok());
  const absl::Status status = (*cipher)->Seal("b", "text").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(status.message().find("secrets.key_file"), absl::string_view::npos);
}

}  // namespace
}  // namespace penstock::functions
