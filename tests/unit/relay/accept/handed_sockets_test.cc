// A socket that was handed over goes to the connector that lists its address, or stops the start.
#include "relay/accept/handed_sockets.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::relay {
namespace {

using testing::HasSubstr;

std::vector<ReceiveConfig> connectors() {
  std::vector<ReceiveConfig> all(2);
  all[0].name = "apps";
  all[0].listen = {*Endpoint::parse("127.0.0.1:2525"), *Endpoint::parse("[::1]:2525")};
  all[1].name = "submission";
  all[1].listen = {*Endpoint::parse("0.0.0.0:587")};
  return all;
}

Result<HandedSockets> match(std::vector<std::pair<std::string, std::string>> sockets) {
  std::vector<net::InheritedSocket> handed;
  for (const auto& [name, at] : sockets) {
    handed.emplace_back(name, ::open("/dev/null", O_RDONLY | O_CLOEXEC), *Endpoint::parse(at));
  }
  return HandedSockets::match(std::move(handed), connectors());
}

TEST(HandedSockets, GoToTheConnectorOfTheirName) {
  const auto handed = match({{"submission", "0.0.0.0:587"}, {"apps", "[::1]:2525"}});
  ASSERT_TRUE(handed);
  EXPECT_NE(handed->find(*Endpoint::parse("0.0.0.0:587")), nullptr);
  EXPECT_NE(handed->find(*Endpoint::parse("[::1]:2525")), nullptr);
  EXPECT_EQ(handed->find(*Endpoint::parse("127.0.0.1:2525")), nullptr);
}

TEST(HandedSockets, WithoutAConnectorsNameTheAddressDecides) {
  EXPECT_TRUE(match({{"sluice.socket", "127.0.0.1:2525"}}));
  EXPECT_TRUE(match({{"", "0.0.0.0:587"}}));
}

// Who may relay was checked for the addresses of the configuration, and for no other.
TEST(HandedSockets, AnAddressThatIsNotConfiguredStopsTheStart) {
  const auto elsewhere = match({{"apps", "0.0.0.0:2525"}});
  ASSERT_FALSE(elsewhere);
  EXPECT_THAT(elsewhere.error().detail, HasSubstr("0.0.0.0:2525"));
  EXPECT_THAT(elsewhere.error().detail, HasSubstr("\"apps\""));
  EXPECT_FALSE(match({{"apps", "0.0.0.0:587"}}));  // another connector's
  EXPECT_FALSE(match({{"", "0.0.0.0:25"}}));
}

TEST(HandedSockets, TwoForOneAddressStopTheStart) {
  EXPECT_FALSE(match({{"apps", "127.0.0.1:2525"}, {"", "127.0.0.1:2525"}}));
}

}  // namespace
}  // namespace sluice::relay
