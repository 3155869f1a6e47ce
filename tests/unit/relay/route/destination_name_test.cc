#include "relay/route/destination_name.h"

#include <gtest/gtest.h>

namespace sluice::relay {
namespace {

using Hosts = std::vector<std::string>;

TEST(DestinationName, IsTheDomainIfThereIsOnlyOne) {
  EXPECT_EQ(destinationName("example.com", Hosts{"mx1.example.net"}), "example.com");
}

TEST(DestinationName, IsItsHostsIfItServesMany) {
  EXPECT_EQ(destinationName("", Hosts{"mx1.example.net", "mx2.example.net"}),
            "mx1.example.net,mx2.example.net");
  EXPECT_EQ(destinationName("", Hosts{smartHostName({"smtp.example.net", 587})}),
            "smtp.example.net:587");
}

TEST(DestinationName, PutsBracketsAroundAnIpv6SmartHost) {
  EXPECT_EQ(smartHostName({"2001:db8::1", 25}), "[2001:db8::1]:25");
  EXPECT_EQ(smartHostName({"[2001:db8::1]", 25}), "[2001:db8::1]:25");
  EXPECT_EQ(smartHostName({"192.0.2.1", 25}), "192.0.2.1:25");
}

TEST(DestinationIdentity, IsTheSetOfHostsAndTheConnector) {
  const std::string ab = destinationIdentity("internet", Hosts{"a", "b"});
  EXPECT_EQ(destinationIdentity("internet", Hosts{"b", "a", "b"}), ab);
  EXPECT_NE(destinationIdentity("other", Hosts{"a", "b"}), ab);
  EXPECT_NE(destinationIdentity("internet", Hosts{"a"}), ab);
  EXPECT_NE(destinationIdentity("internet", Hosts{"a,b"}), ab);
  EXPECT_NE(destinationIdentity("x", Hosts{"1:a"}), destinationIdentity("x1", Hosts{"a"}));
}

}  // namespace
}  // namespace sluice::relay
