// What `check --print` shows reads back as the same configuration, and keeps secrets.
#include "relay/config/config_printer.h"

#include "net/tls/signing_key.h"
#include "relay/config/reload.h"
#include "tests/unit/relay/config/config_scene.h"

namespace sluice::relay {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

Config read(const std::string& text) {
  const LoadedConfig loaded = parseConfig(text, "a.toml", sceneWith());
  EXPECT_TRUE(loaded.ok()) << allMistakes(loaded) << text;
  return loaded.config;
}

std::string full(const TestFolder& folder) {
  const std::string file = folder.file("f", "secret in a file\n");
  const std::string token = folder.file("t", "token-in-a-file\n");
  return R"(
hostname = "a.example"
data_dir = "/srv/\"quoted\" \\ $${HOME}"
[dns]
servers = ["127.0.0.1:53", "[::1]:53"]
trust_ad = true
[[receive]]
name = "one"
listen = ["0.0.0.0:25", "[::]:25"]
relay_networks = ["10.0.0.0/8", "2001:db8::/32"]
tls = "implicit"
tls_certificate = ")" +
         folder.file("c", kCertificatePem) + R"("
tls_key = ")" +
         folder.file("k", kKeyPem) + R"("
users_file = ")" +
         folder.file("u", kUsersLine) + R"("
auth_mechanisms = ["plain"]
auth_lockout = { failures = 3, window = "90s", time = "0" }
[[receive]]
name = "two"
listen = ["127.0.0.1:2525"]
relay_networks = []
[[send]]
name = "smart"
route = "smart-host"
smart_hosts = ["smtp.example.net:587", "[2001:db8::1]:25"]
username = "u"
password = "hunter2"
rate = "100/s"
idle_timeout = "1500ms"
[[send]]
name = "file"
address_spaces = [{ domain = ".example.com", cost = 5 }, "example.org"]
route = "smart-host"
smart_hosts = ["smtp.example.net"]
username = "u"
password_file = ")" +
         file + R"("
[[destination]]
match = ["mx:*.example.net"]
tls = "dane"
rate = ""
[[dkim]]
domain = "a.example"
selector = "2026"
key = ")" +
         folder.file("d", (*net::SigningKey::makeEd25519())->toPem()) + R"("
[queue]
retry_factor = 1.1
memory = "100MiB"
disk_reserve = 1000000001
[admin]
listen = "0.0.0.0:8025"
token_file = ")" +
         token + R"("
)";
}

TEST(ConfigPrinter, PrintsADefaultConfigurationThatPrintsTheSameAgain) {
  const std::string first = printConfig(read(""));
  EXPECT_EQ(printConfig(read(first)), first);
}

TEST(ConfigPrinter, PrintsAFullConfigurationThatPrintsTheSameAgain) {
  const TestFolder folder;
  const std::string first = printConfig(read(full(folder)));
  EXPECT_EQ(printConfig(read(first)), first);
}

TEST(ConfigPrinter, ShowsValuesInTheirUnits) {
  const TestFolder folder;
  const std::string text = printConfig(read(full(folder)));
  EXPECT_THAT(text, HasSubstr("\nidle_timeout = \"1500ms\"\n"));
  EXPECT_THAT(text, HasSubstr("\nlifetime = \"4d\"\n"));
  EXPECT_THAT(text, HasSubstr("\nfinal_reply_timeout = \"10m\"\n"));
  EXPECT_THAT(text, HasSubstr("\nmemory = \"100MiB\"\n"));
  EXPECT_THAT(text, HasSubstr("\nrate = \"100/s\"\n"));
  EXPECT_THAT(text, HasSubstr("data_dir = \"/srv/\\\"quoted\\\" \\\\ $${HOME}\"\n"));
}

TEST(ConfigPrinter, ShowsAPercentageOfMemoryAsOne) {
  EXPECT_THAT(printConfig(read("")), HasSubstr("\nmemory = \"25%\"\n"));
}

TEST(ConfigPrinter, HidesSecretsWhereverTheyCameFrom) {
  const TestFolder folder;
  const std::string text = printConfig(read(full(folder)));
  EXPECT_THAT(text, Not(HasSubstr("hunter2")));
  EXPECT_THAT(text, Not(HasSubstr("secret in a file")));
  EXPECT_THAT(text, Not(HasSubstr("token-in-a-file")));
  EXPECT_THAT(text, HasSubstr("password = \"********\"\n"));
  EXPECT_THAT(printConfig(read("[admin]\ntoken = \"hunter2\"\n")),
              HasSubstr("token = \"********\"\n"));
}

TEST(ConfigPrinter, LeavesOutWhatADestinationDoesNotSet) {
  const TestFolder folder;
  EXPECT_THAT(
      printConfig(read(full(folder))),
      HasSubstr(
          "[[destination]]\nmatch = [\"mx:*.example.net\"]\ntls = \"dane\"\nrate = \"\"\n\n"));
}

TEST(Reload, NamesWhatWaitsForARestart) {
  const Config before = read("[[receive]]\nname = \"a\"\nlisten = [\"127.0.0.1:25\"]\n");
  const Config after = read(
      "data_dir = \"/b\"\n[[receive]]\nname = \"a\"\nlisten = [\"127.0.0.1:26\"]\n"
      "[[receive]]\nname = \"b\"\nlisten = [\"127.0.0.1:27\"]\n[log]\nformat = \"text\"\n");
  EXPECT_THAT(changesForRestart(before, after),
              ElementsAre("data_dir", "[[receive]] \"b\"", "[log] format"));
  EXPECT_THAT(changesForRestart(after, before),
              ElementsAre("data_dir", "[[receive]] \"b\"", "[log] format"));
}

TEST(Reload, TakesOverLimitsNetworksAndRoutesAtOnce) {
  const Config before = read("");
  const Config after = read(
      "hostname = \"b.example\"\n[[receive]]\nname = \"local\"\nrelay_networks = []\n"
      "max_recipients = 1\n[[send]]\naddress_spaces = [\"a.example\"]\n[queue]\nlifetime = \"1d\"\n"
      "[log]\nlevel = \"debug\"\n[admin]\ntoken = \"t\"\n");
  EXPECT_THAT(changesForRestart(before, after), IsEmpty());
}

}  // namespace
}  // namespace sluice::relay
