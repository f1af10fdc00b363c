#include "libs/http/egress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "libs/base/status.h"

namespace penstock::http {
namespace {

using testing::HasSubstr;

EgressPolicy Make(EgressPolicy::Options options = {}) {
  return EgressPolicy::Create(options).value();
}

TEST(EgressPolicyTest, RefusesEveryKindOfInternalAddress) {
  struct Case {
    const char* address;
    const char* kind;
  };
  const Case cases[] = {
      {"127.0.0.1", "loopback"},
      {"127.255.255.254", "loopback"},
      {"10.0.0.1", "private"},
      {"172.16.0.1", "private"},
      {"172.31.255.255", "private"},
      {"192.168.1.1", "private"},
      {"169.254.169.254", "link-local"},
      {"100.64.0.1", "shared"},
      {"0.0.0.0", "unspecified"},
      {"0.1.2.3", "unspecified"},
      {"224.0.0.1", "multicast"},
      {"239.255.255.255", "multicast"},
      {"255.255.255.255", "broadcast"},
      {"240.0.0.1", "reserved"},
      {"192.0.2.1", "documentation"},
      {"198.18.0.1", "benchmarking"},
      {"::", "unspecified"},
      {"::1", "loopback"},
      {"fe80::1", "link-local"},
      {"fe80::1%eth0", "link-local"},
      {"febf::1", "link-local"},
      {"fec0::1", "site-local"},
      {"fc00::1", "unique-local"},
      {"fdff::1", "unique-local"},
      {"ff02::1", "multicast"},
      {"2001:db8::1", "documentation"},
      {"::ffff:127.0.0.1", "loopback"},
      {"::ffff:7f00:1", "loopback"},
      {"::ffff:10.0.0.1", "private"},
      {"::ffff:169.254.169.254", "link-local"},
      {"::ffff:0:10.0.0.1", "private"},
      {"::127.0.0.1", "loopback"},
      {"64:ff9b::10.0.0.1", "private"},
      {"2002:7f00:1::", "loopback"},
      {"2002:a00:1::1", "private"},
  };
  const EgressPolicy policy = Make();
  for (const Case& refused : cases) {
    const absl::Status status = policy.Check(refused.address, 80);
    EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied) << refused.address;
    const std::string message(status.message());
    EXPECT_THAT(message, HasSubstr(refused.kind)) << refused.address;
    EXPECT_THAT(message, HasSubstr("egress.allow")) << refused.address;
    EXPECT_THAT(message, HasSubstr(refused.address));
  }
}

TEST(EgressPolicyTest, LetsPublicAddressesThrough) {
  const EgressPolicy policy = Make();
  for (const char* address :
       {"1.1.1.1", "9.255.255.255", "11.0.0.0", "172.15.255.255", "172.32.0.0", "169.253.0.1",
        "192.167.255.255", "100.63.255.255", "100.128.0.0", "223.255.255.255", "126.255.255.255",
        "128.0.0.0", "2606:4700::1111", "2a00::1", "::ffff:1.1.1.1", "64:ff9b::1.1.1.1",
        "2002:101:101::1"}) {
    EXPECT_TRUE(policy.Check(address, 443).ok()) << address;
  }
}

TEST(EgressPolicyTest, RefusesWhatIsNoNumericAddress) {
  for (const char* address : {"", "localhost", "127.1", "0x7f.0.0.1", "2130706433", "1.2.3.4 ",
                              "1.2.3.4:80", "[::1]", "017700000001"}) {
    EXPECT_EQ(Make().Check(address, 80).code(), absl::StatusCode::kPermissionDenied) << address;
  }
  EXPECT_FALSE(Make().Check(std::string_view("1.1.1.1\0x", 9), 80).ok());
}

TEST(EgressPolicyTest, AllowsConfiguredNetworksOnly) {
  const EgressPolicy policy =
      Make({.allow = {"10.1.0.0/16", "127.0.0.1", "fd00:1::/32", "::1/128"}});
  EXPECT_TRUE(policy.Check("10.1.255.255", 80).ok());
  EXPECT_TRUE(policy.Check("::ffff:10.1.2.3", 80).ok());
  EXPECT_TRUE(policy.Check("127.0.0.1", 80).ok());
  EXPECT_TRUE(policy.Check("fd00:1:2::3", 80).ok());
  EXPECT_TRUE(policy.Check("::1", 80).ok());
  EXPECT_FALSE(policy.Check("10.2.0.0", 80).ok());
  EXPECT_FALSE(policy.Check("10.0.255.255", 80).ok());
  EXPECT_FALSE(policy.Check("127.0.0.2", 80).ok());
  EXPECT_FALSE(policy.Check("fd00:2::", 80).ok());
}

TEST(EgressPolicyTest, ComparesPrefixesThatEndInsideAByte) {
  const EgressPolicy policy = Make({.allow = {"172.16.0.0/13"}});
  EXPECT_TRUE(policy.Check("172.23.255.255", 80).ok());
  EXPECT_FALSE(policy.Check("172.24.0.0", 80).ok());
  EXPECT_TRUE(Make({.allow = {"0.0.0.0/0"}}).Check("192.168.0.1", 80).ok());
  EXPECT_FALSE(Make({.allow = {"0.0.0.0/0"}}).Check("fe80::1", 80).ok());
}

TEST(EgressPolicyTest, RefusesDeniedPortsEverywhere) {
  const EgressPolicy policy = Make({.allow = {"127.0.0.0/8"}, .denied_ports = {22, 25}});
  EXPECT_TRUE(policy.Check("127.0.0.1", 23).ok());
  const absl::Status status = policy.Check("127.0.0.1", 25);
  EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(std::string(status.message()), HasSubstr("egress.denied_ports"));
  EXPECT_FALSE(policy.Check("1.1.1.1", 22).ok());
}

TEST(EgressPolicyTest, NamesABadEntry) {
  for (const char* entry : {"", "ten", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "10.0.0.0/8x",
                            "::/129", "10.0.0/8", "/8"}) {
    const auto policy = EgressPolicy::Create({.allow = {"10.0.0.0/8", entry}});
    ASSERT_FALSE(policy.ok()) << entry;
    ASSERT_EQ(FieldViolationsOf(policy.status()).size(), 1U);
    EXPECT_EQ(FieldViolationsOf(policy.status())[0].field, "egress.allow");
  }
}

}  // namespace
}  // namespace penstock::http
