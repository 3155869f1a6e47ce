#include "net/smtp/extensions.h"

#include <gtest/gtest.h>

namespace sluice::smtp {
namespace {

TEST(Extensions, AreOfferedAsConfigured) {
  std::string reply;
  appendEhloReply(reply, "relay.test", {.max_message_bytes = 52428800});
  EXPECT_EQ(reply,
            "250-relay.test\r\n250-PIPELINING\r\n250-SIZE 52428800\r\n250-8BITMIME\r\n"
            "250-SMTPUTF8\r\n250-DSN\r\n250-CHUNKING\r\n250-HELP\r\n250 ENHANCEDSTATUSCODES\r\n");
}

TEST(Extensions, OfferTlsAndAuthOnlyWhenThereIsSome) {
  std::string reply;
  appendEhloReply(reply, "r",
                  {.starttls = true, .auth_mechanisms = "PLAIN LOGIN", .xclient = true});
  EXPECT_NE(reply.find("250-STARTTLS\r\n"), std::string::npos);
  EXPECT_NE(reply.find("250-AUTH PLAIN LOGIN\r\n"), std::string::npos);
  EXPECT_NE(reply.find("250-XCLIENT "), std::string::npos);
  EXPECT_NE(reply.find("250-SIZE\r\n"), std::string::npos);
}

}  // namespace
}  // namespace sluice::smtp
