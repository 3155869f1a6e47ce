#include "relay/route/redirected_key.h"

#include <gtest/gtest.h>

#include "relay/route/router.h"

namespace sluice::relay {
namespace {

SendConfig connectorBy(Route route, std::string name) {
  SendConfig connector;
  connector.name = std::move(name);
  connector.address_spaces = {{"*", 1}};
  connector.route = route;
  if (route == Route::SmartHost) connector.smart_hosts = {{"smtp.example.net", 587}};
  return connector;
}

TEST(RedirectedKey, LeadsByItsConnectorWhateverTheRoutesSay) {
  const SendConfig smart = connectorBy(Route::SmartHost, "backup");
  const SendConfig mx = connectorBy(Route::Mx, "other.mx");
  const Router router({connectorBy(Route::Mx, "a"), smart, mx}, {});
  for (const SendConfig* connector : {&smart, &mx}) {
    const std::string key = redirectedKey(*connector, "example.com");
    const auto route = router.routeOfKey(key);
    ASSERT_TRUE(route) << key;
    EXPECT_EQ(route->connectors.size(), 1u);
    EXPECT_EQ(route->best().name, connector->name);
    EXPECT_EQ(parseRedirectedKey(key)->domain, connector == &mx ? "example.com" : "");
  }
}

TEST(RedirectedKey, IsNoOtherKindOfKey) {
  EXPECT_FALSE(parseRedirectedKey("example.com"));
  EXPECT_FALSE(parseRedirectedKey("=backup"));
  EXPECT_FALSE(parseRedirectedKey(""));
}

TEST(RedirectedKey, OfAConnectorThatIsGoneHasNoRoute) {
  const Router router({connectorBy(Route::Mx, "a")}, {});
  EXPECT_FALSE(router.routeOfKey("=>gone"));
  EXPECT_FALSE(router.routeOfKey("=>gone>example.com"));
}

}  // namespace
}  // namespace sluice::relay
