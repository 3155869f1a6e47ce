// What people are told about well-known answers.
#include "relay/notify/explain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::relay {
namespace {

using testing::HasSubstr;

struct Case {
  const char* status;
  const char* diagnostic;
  const char* says;  // a piece of what or advice
  Helper helper;
};

class Explain : public testing::TestWithParam<Case> {};

TEST_P(Explain, SaysWhatHappenedAndWhoCanHelp) {
  const Explanation& said = explain(GetParam().status, GetParam().diagnostic);
  EXPECT_THAT(std::string(said.what) + " " + std::string(said.advice), HasSubstr(GetParam().says));
  EXPECT_EQ(said.helper, GetParam().helper);
}

INSTANTIATE_TEST_SUITE_P(
    Answers, Explain,
    testing::Values(
        Case{"5.1.1", "550 5.1.1 no such user", "no such mailbox", Helper::Sender},
        Case{"", "550 5.1.1 no such user", "no such mailbox", Helper::Sender},
        Case{"", "550 User unknown in virtual alias table", "no such mailbox", Helper::Sender},
        Case{"5.1.2", "the domain does not exist", "does not exist", Helper::Sender},
        Case{"5.1.10", "null MX", "takes no mail at all", Helper::Sender},
        Case{"5.2.2", "552 5.2.2 over quota", "mailbox is full", Helper::Sender},
        Case{"4.2.2", "452 4.2.2 over quota", "mailbox is full", Helper::Sender},
        Case{"5.3.4", "552 5.3.4 too big", "smaller or fewer attachments", Helper::Sender},
        Case{"5.4.6", "554 5.4.6 too many hops", "circles", Helper::Administrator},
        Case{"5.4.4", "only private addresses", "no way", Helper::Administrator},
        Case{"4.4.1", "mx.example.net rests after a failure", "could not be reached",
             Helper::Sender},
        Case{"4.7.5",
             "the certificate is not to be trusted: no TLSA record of the host matches it (DANE)",
             "published which key", Helper::Administrator},
        Case{"4.7.5", "certificate has expired", "certificate of that server",
             Helper::Administrator},
        Case{"4.4.3", "SERVFAIL", "name servers", Helper::Sender},
        Case{"5.6.3", "8BITMIME", "8-bit", Helper::Sender},
        Case{"5.6.7", "SMTPUTF8", "international characters", Helper::Sender},
        Case{"5.7.1", "554 5.7.1 Service unavailable; client blocked using zen.spamhaus.org",
             "block list", Helper::Administrator},
        Case{"5.7.1", "550 5.7.1 message content rejected as spam", "unwanted mail",
             Helper::Sender},
        Case{"5.7.1", "554 5.7.1 Relay access denied", "send connector", Helper::Administrator},
        Case{"5.7.1", "550 5.7.1 no", "by its rules", Helper::Sender},
        Case{"5.7.26", "550-5.7.26 not authenticated", "SPF", Helper::Administrator},
        Case{"4.7.1", "450 4.7.1 greylisted, come back", "greylisting", Helper::Sender},
        Case{"5.4.1", "550 5.4.1 Recipient address rejected: Access denied", "no such mailbox",
             Helper::Sender},
        // Configuration faults name the fix.
        Case{"5.7.64", "550 5.7.64 TenantAttribution; Relay Access Denied", "inbound connector",
             Helper::Administrator},
        Case{"5.7.57", "530 5.7.57 Client not authenticated to send mail", "password_file",
             Helper::Administrator},
        Case{"5.7.30", "550 5.7.30 Basic authentication is not supported", "xoauth2",
             Helper::Administrator},
        Case{"5.7.30", "550 5.7.30 REQUIRETLS needed", "transport encryption", Helper::Sender},
        Case{"", "535 5.7.8 bad credentials", "user name or password", Helper::Administrator},
        Case{"", "535 go away", "user name or password", Helper::Administrator},
        Case{"5.7.0", "530 5.7.0 Must issue a STARTTLS command first", "tls = \"required\"",
             Helper::Administrator},
        Case{"5.7.515", "550 5.7.515 Access denied, sending domain", "DKIM", Helper::Administrator},
        Case{"4.7.500", "451 4.7.500 Server busy (AS761)", "limits", Helper::Administrator},
        Case{"5.7.606", "550 5.7.606 Access denied, banned sending IP [192.0.2.1]",
             "sender.office.com", Helper::Administrator},
        Case{"5.7.509", "550 5.7.509 does not pass DMARC verification", "DKIM",
             Helper::Administrator},
        // What this relay itself says.
        Case{"4.4.1", "connect to mx.example.net [192.0.2.1:25]: timeout", "port 25",
             Helper::Sender},
        Case{"4.4.1", "mx.example.net [192.0.2.1:25] refuses: 554 5.7.1 listed at zen.spamhaus.org",
             "block list", Helper::Administrator},
        Case{"5.7.0", "removed from the queue by an administrator; last reply: 451 later",
             "removed the message", Helper::Administrator},
        // Servers without enhanced codes.
        Case{"", "550 no", "refused the message for good", Helper::Sender},
        Case{"", "521 we take no mail", "takes no mail", Helper::Sender},
        Case{"", "421 later", "at the moment", Helper::Sender}));

TEST(Explain, HasSomethingToSayAboutAnyBytes) {
  for (const std::string& diagnostic :
       {std::string(), std::string(100'000, '\xff'), std::string("550"), std::string("55"),
        std::string("5505.1.1"), std::string("\0\r\n\x1b", 4)}) {
    EXPECT_FALSE(explain("", diagnostic).what.empty());
    EXPECT_FALSE(explain("9.9.9999", diagnostic).what.empty());
  }
}

}  // namespace
}  // namespace sluice::relay
