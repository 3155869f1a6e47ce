#include "net/smtp/xclient.h"

#include <gtest/gtest.h>

namespace sluice::smtp {
namespace {

// The commands of Postfix's XCLIENT_README.
TEST(XClient, ReadsWhatPostfixAndNginxSend) {
  const auto command = parseXClient(
      "NAME=spike.porcupine.org ADDR=168.100.189.2 PORT=4711 PROTO=ESMTP HELO=spike LOGIN=ann "
      "DESTADDR=192.0.2.1 DESTPORT=25");
  ASSERT_TRUE(command);
  EXPECT_EQ(command->name, "spike.porcupine.org");
  EXPECT_EQ(command->address.value().value().toString(), "168.100.189.2");
  EXPECT_EQ(command->port, 4711);
  EXPECT_EQ(command->extended, true);
  EXPECT_EQ(command->hello, "spike");
  EXPECT_EQ(command->login, "ann");
  EXPECT_EQ(command->destination_address.value().value().toString(), "192.0.2.1");
  EXPECT_EQ(command->destination_port, 25);
}

TEST(XClient, TellsNotKnownFromNotSaid) {
  const auto command = parseXClient("NAME=[UNAVAILABLE] ADDR=[tempunavail] PORT=[UNAVAILABLE]");
  ASSERT_TRUE(command);
  EXPECT_EQ(command->name, "");
  ASSERT_TRUE(command->address.has_value());
  EXPECT_FALSE(command->address->has_value());
  EXPECT_EQ(command->port, 0);
  EXPECT_FALSE(command->hello || command->login || command->extended);
}

TEST(XClient, TakesIpv6AsPostfixWritesIt) {
  EXPECT_EQ(parseXClient("ADDR=IPV6:2001:db8::1")->address.value()->toString(), "2001:db8::1");
  EXPECT_EQ(parseXClient("addr=ipv6:::1")->address.value()->toString(), "::1");
  EXPECT_FALSE(parseXClient("ADDR=2001:db8::1"));
  EXPECT_FALSE(parseXClient("ADDR=IPV6:192.0.2.1"));
}

TEST(XClient, DecodesXtext) { EXPECT_EQ(parseXClient("HELO=a+2Bb+20c")->hello, "a+b c"); }

TEST(XClient, RefusesWhatIsNoXClient) {
  for (const char* argument : {"",
                               " ",
                               "ADDR",
                               "ADDR=",
                               "ADDR=1.2.3",
                               "ADDR=1.2.3.4.5",
                               "ADDR=a.test",
                               "PORT=0",
                               "PORT=65536",
                               "PORT=-1",
                               "PORT=x",
                               "PROTO=LMTP",
                               "PROTO=[UNAVAILABLE]",
                               "HELO=a+0D+0Ab",
                               "HELO=a+00",
                               "HELO=+GG",
                               "LOGIN=a=b",
                               "NAME=a NAME=b",
                               "COLOUR=red",
                               "=x",
                               "ADDR=1.2.3.4\tPORT=1"}) {
    const auto command = parseXClient(argument);
    ASSERT_FALSE(command) << argument;
    EXPECT_EQ(command.error().code, 501) << argument;
  }
  EXPECT_FALSE(parseXClient("HELO=" + std::string(256, 'a')));
}

}  // namespace
}  // namespace sluice::smtp
