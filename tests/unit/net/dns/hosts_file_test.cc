#include "net/dns/hosts_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::net {
namespace {

using testing::ElementsAre;

std::vector<std::string> lookUp(const HostsFile& hosts, const std::string& name) {
  std::vector<std::string> texts;
  if (const auto* addresses = hosts.find(name)) {
    for (const auto& address : *addresses) texts.push_back(address.toString());
  }
  return texts;
}

TEST(HostsFile, ReadsNamesAliasesAndComments) {
  const HostsFile hosts(
      "# a comment\n"
      "192.0.2.1\tSmtp.Example.net smtp  # the hub\r\n"
      "\n"
      "2001:db8::1 smtp.example.net smtp.example.net\n"
      "fe80::1%eth0 zone\n"
      "nonsense smtp\n"
      "192.0.2.2 last");
  EXPECT_THAT(lookUp(hosts, "smtp.example.net"), ElementsAre("192.0.2.1", "2001:db8::1"));
  EXPECT_THAT(lookUp(hosts, "smtp"), ElementsAre("192.0.2.1"));
  EXPECT_THAT(lookUp(hosts, "last"), ElementsAre("192.0.2.2"));
  EXPECT_EQ(hosts.find("zone"), nullptr);
  EXPECT_EQ(hosts.find("#"), nullptr);
}

TEST(HostsFile, KnowsLocalhostEvenWithoutAFile) {
  EXPECT_THAT(lookUp(HostsFile::read("/nonexistent"), "localhost"),
              ElementsAre("::1", "127.0.0.1"));
  EXPECT_THAT(lookUp(HostsFile("127.0.0.9 localhost"), "localhost"), ElementsAre("127.0.0.9"));
}

}  // namespace
}  // namespace sluice::net
