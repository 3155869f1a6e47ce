// A good configuration with random damage is read or refused, never a crash; and what it is read
// as prints and reads back.
#include <algorithm>
#include <iostream>
#include <random>

#include "relay/config/config_printer.h"
#include "tests/unit/relay/config/config_scene.h"

namespace sluice::relay {
namespace {

constexpr int kRounds = 4000;

constexpr std::string_view kGood = R"(hostname = "relay.example.com"
[dns]
servers = ["127.0.0.1:53"]
timeout = "5s"
[[receive]]
name = "apps"
listen = ["127.0.0.1:2525", "[::1]:2525"]
relay_networks = ["127.0.0.0/8", "::1/128"]
auth_lockout = { failures = 10, window = "10m", time = "15m" }
max_message_size = "50MiB"
[[send]]
address_spaces = ["*", { domain = "example.com", cost = 10 }]
route = "smart-host"
smart_hosts = ["smtp.example.net:587"]
rate = "100/s"
[[destination]]
match = ["example.org", "mx:*.mail.example.net"]
tls = "verify"
[queue]
retry_factor = 2.0
memory = "25%"
[admin]
hosts = ["a.example"]
)";

constexpr std::string_view kSpice = "\"'[]{}=.,:#$\\/%-+_*0123456789eE\n\r\t \x01\x7f\xff\xc3";

std::string mutate(std::mt19937& random) {
  std::string text(kGood);
  const auto below = [&](size_t limit) { return random() % std::max<size_t>(limit, 1); };
  for (size_t changes = 1 + below(4); changes > 0; --changes) {
    const size_t at = below(text.size());
    const size_t length = std::min(below(20), text.size() - at);
    switch (below(5)) {
      case 0:
        text.erase(at, length);
        break;
      case 1:
        text.insert(at, 1, kSpice[below(kSpice.size())]);
        break;
      case 2:
        if (!text.empty()) text[at] = static_cast<char>(below(256));
        break;
      case 3:
        text.insert(below(text.size()), text.substr(at, length));
        break;
      case 4:
        text.insert(at, "${" + std::string(below(2), 'A') + (below(2) == 0 ? ":-x}" : "}"));
        break;
    }
  }
  return text;
}

TEST(MutatedConfig, IsReadOrRefusedAndNeverACrash) {
  const unsigned seed = std::random_device()();
  std::cout << "seed " << seed << std::endl;
  std::mt19937 random(seed);
  const Surroundings scene = sceneWith({{"A", "a.example"}});
  int good = 0;
  for (int i = 0; i < kRounds; ++i) {
    const std::string text = mutate(random);
    const LoadedConfig loaded = parseConfig(text, "a.toml", scene);
    for (const auto& mistake : loaded.mistakes) {
      EXPECT_GE(mistake.line, 1) << mistake.toString() << "\n" << text;
      EXPECT_GE(mistake.column, 1) << mistake.toString() << "\n" << text;
    }
    if (!loaded.ok()) continue;
    ++good;
    const std::string printed = printConfig(loaded.config);
    const LoadedConfig again = parseConfig(printed, "printed", scene);
    ASSERT_TRUE(again.ok()) << allMistakes(again) << printed << "\nfrom\n" << text;
    ASSERT_EQ(printConfig(again.config), printed) << text;
  }
  EXPECT_GT(good, 0);  // else the mutations are too wild to test anything
}

}  // namespace
}  // namespace sluice::relay
