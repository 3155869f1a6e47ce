#include "relay/route/address_space.h"

#include <gtest/gtest.h>

#include <vector>

namespace sluice::relay {
namespace {

TEST(AddressSpace, TakesInWhatItSays) {
  EXPECT_TRUE(addressSpaceContains("example.com", "example.com"));
  EXPECT_FALSE(addressSpaceContains("example.com", "a.example.com"));
  EXPECT_TRUE(addressSpaceContains(".example.com", "a.example.com"));
  EXPECT_TRUE(addressSpaceContains(".example.com", "b.a.example.com"));
  EXPECT_FALSE(addressSpaceContains(".example.com", "example.com"));
  EXPECT_FALSE(addressSpaceContains(".example.com", "badexample.com"));
  EXPECT_TRUE(addressSpaceContains("*", "anything"));
}

TEST(AddressSpace, TakesAddressLiteralsForNobodysSubdomains) {
  EXPECT_TRUE(addressSpaceContains("*", "[192.0.2.1]"));
  EXPECT_TRUE(addressSpaceContains("[192.0.2.1]", "[192.0.2.1]"));
  EXPECT_FALSE(addressSpaceContains(".1]", "[192.0.2.1]"));
  EXPECT_FALSE(addressSpaceContains("192.0.2.1", "[192.0.2.1]"));
}

TEST(AddressSpace, ContainsNoEmptyDomain) {
  EXPECT_FALSE(addressSpaceContains("*", ""));
  EXPECT_FALSE(addressSpaceContains("", ""));
  EXPECT_FALSE(addressSpaceContains(".", "a."));
}

TEST(AddressSpace, OrdersExactBeforeLongBeforeShortBeforeAll) {
  EXPECT_GT(addressSpaceSpecificity("a.example.com"), addressSpaceSpecificity(".example.com"));
  EXPECT_GT(addressSpaceSpecificity("example.com"),
            addressSpaceSpecificity("." + std::string(254, 'a')));
  EXPECT_GT(addressSpaceSpecificity(".example.com"), addressSpaceSpecificity(".com"));
  EXPECT_GT(addressSpaceSpecificity(".com"), addressSpaceSpecificity("*"));
}

TEST(AddressSpaceMap, VisitsTheMostSpecificFirst) {
  AddressSpaceMap<std::string> map;
  for (const char* space :
       {"*", ".com", ".example.com", "a.example.com", ".other.com", "example.com"}) {
    map[space] = space;
  }
  std::vector<std::string> seen;
  map.visitMatches("a.example.com", [&seen](const std::string& space) {
    seen.push_back(space);
    return true;
  });
  EXPECT_EQ(seen, (std::vector<std::string>{"a.example.com", ".example.com", ".com", "*"}));
}

TEST(AddressSpaceMap, AgreesWithTheRuleForEverySpace) {
  const std::vector<std::string> spaces{
      "*",           ".com", "com", ".example.com", "example.com", ".b.example.com",
      "[192.0.2.1]", ".1]",  ".org"};
  for (const char* domain : {"com", "example.com", "x.example.com", "a.b.example.com",
                             "[192.0.2.1]", "org", "nowhere", ".com", "a..com", ""}) {
    for (const std::string& space : spaces) {
      AddressSpaceMap<int> map;
      map[space] = 1;
      EXPECT_EQ(map.find(domain) != nullptr, addressSpaceContains(space, domain))
          << space << " and " << domain;
    }
  }
}

}  // namespace
}  // namespace sluice::relay
