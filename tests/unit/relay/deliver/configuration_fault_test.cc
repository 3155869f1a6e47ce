#include "relay/deliver/configuration_fault.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::relay {
namespace {

using testing::HasSubstr;

smtp::Reply replyOf(std::string line) {
  line += "\r\n";
  std::string_view input = line;
  return smtp::ReplyParser().feed(input).value().value();
}

TEST(ConfigurationFault, IsKnownByWhatServersSay) {
  EXPECT_THAT(configurationFault(replyOf("535 5.7.8 no")), HasSubstr("password_file"));
  EXPECT_THAT(configurationFault(replyOf("535 Authentication failed")), HasSubstr("password_file"));
  EXPECT_THAT(configurationFault(replyOf("550 5.7.30 Basic authentication is not supported")),
              HasSubstr("xoauth2"));
  EXPECT_THAT(configurationFault(replyOf("550 5.7.64 TenantAttribution; Relay Access Denied")),
              HasSubstr("inbound connector"));
  EXPECT_THAT(configurationFault(replyOf("530 5.7.57 Client not authenticated")),
              HasSubstr("Set username"));
  EXPECT_THAT(configurationFault(replyOf("530 5.7.0 Must issue a STARTTLS command first")),
              HasSubstr("Set tls"));
  EXPECT_THAT(configurationFault(replyOf("530 Authentication required")),
              HasSubstr("Set username"));
}

TEST(ConfigurationFault, IsNotWhatAMessageIsRefusedFor) {
  for (const char* line :
       {"550 5.7.30 REQUIRETLS support required", "550 5.1.1 unknown", "554 5.7.1 spam",
        "550 5.7.60 cannot send as this sender", "454 4.7.0 try later",
        "550 5.7.26 unauthenticated mail", "250 2.0.0 ok"}) {
    EXPECT_EQ(configurationFault(replyOf(line)), "") << line;
  }
}

}  // namespace
}  // namespace sluice::relay
