// A relay without a configuration file: the environment variables of the quick start.
#include "relay/config/environment.h"

#include "tests/unit/relay/config/config_scene.h"

namespace sluice::relay {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

using Variables = std::map<std::string, std::string>;

Config read(const Variables& variables) {
  const LoadedConfig loaded = configFromEnvironment(sceneWith(variables));
  EXPECT_TRUE(loaded.ok()) << allMistakes(loaded);
  EXPECT_FALSE(loaded.from_file);
  return loaded.config;
}

std::string mistakesOf(const Variables& variables) {
  return allMistakes(configFromEnvironment(sceneWith(variables)));
}

TEST(Environment, WithoutVariablesEverythingIsDefault) {
  const Config config = read({});
  EXPECT_EQ(config.hostname, "relay.example.com");
  EXPECT_EQ(config.receive[0].listen[0].toString(), "127.0.0.1:2525");
  EXPECT_EQ(config.send[0].name, "internet");
  EXPECT_EQ(config.send[0].route, Route::Mx);
}

TEST(Environment, EveryVariableReachesItsSetting) {
  const Config config = read({{"SLUICE_HOSTNAME", "a.example"},
                              {"SLUICE_DATA_DIR", "/data"},
                              {"SLUICE_LISTEN", "0.0.0.0:25, [::]:25"},
                              {"SLUICE_RELAY_NETWORKS", "10.0.0.0/8 192.168.0.0/16"},
                              {"SLUICE_SMART_HOST", "smtp.example.net:587"},
                              {"SLUICE_USERNAME", "user"},
                              {"SLUICE_PASSWORD", "p\"a\\s${s}"},
                              {"SLUICE_ADMIN_LISTEN", "0.0.0.0:8025"},
                              {"SLUICE_ADMIN_TOKEN", "token"}});
  EXPECT_EQ(config.hostname, "a.example");
  EXPECT_EQ(config.data_dir, "/data");
  ASSERT_THAT(config.receive, SizeIs(1));
  EXPECT_THAT(config.receive[0].listen, SizeIs(2));
  EXPECT_THAT(config.receive[0].relay_networks, SizeIs(2));
  ASSERT_THAT(config.send, SizeIs(1));
  EXPECT_EQ(config.send[0].route, Route::SmartHost);
  EXPECT_THAT(config.send[0].smart_hosts, ElementsAre(SmartHost{"smtp.example.net", 587}));
  EXPECT_EQ(config.send[0].username, "user");
  EXPECT_EQ(config.send[0].password, "p\"a\\s${s}");  // a value is no template
  EXPECT_EQ(config.admin.listen.toString(), "0.0.0.0:8025");
  EXPECT_EQ(config.admin.token, "token");
}

TEST(Environment, ValuesComeFromFilesToo) {
  const TestFolder folder;
  const Config config = read({{"SLUICE_HOSTNAME_FILE", folder.file("h", "a.example\n", 0644)},
                              {"SLUICE_SMART_HOST_FILE", folder.file("s", "b.example:25\n", 0644)},
                              {"SLUICE_USERNAME_FILE", folder.file("u", "user\n", 0644)},
                              {"SLUICE_PASSWORD_FILE", folder.file("p", "pass\n", 0600)},
                              {"SLUICE_ADMIN_TOKEN_FILE", folder.file("t", "token\n", 0600)}});
  EXPECT_EQ(config.hostname, "a.example");
  EXPECT_THAT(config.send[0].smart_hosts, ElementsAre(SmartHost{"b.example", 25}));
  EXPECT_EQ(config.send[0].username, "user");
  EXPECT_EQ(config.send[0].password, "pass");
  EXPECT_EQ(config.admin.token, "token");
}

TEST(Environment, AnEmptyVariableIsNotSet) {
  EXPECT_EQ(read({{"SLUICE_LISTEN", ""}, {"SLUICE_SMART_HOST", ""}}).send[0].route, Route::Mx);
}

TEST(Environment, MistakesNameTheVariable) {
  EXPECT_THAT(mistakesOf({{"SLUICE_HOSTNAME", "a b"}}), HasSubstr("SLUICE_HOSTNAME: hostname:"));
  EXPECT_THAT(mistakesOf({{"SLUICE_LISTEN", "localhost:25"}}), HasSubstr("SLUICE_LISTEN: "));
  EXPECT_THAT(mistakesOf({{"SLUICE_RELAY_NETWORKS", "10.0.0.1/8"}}),
              HasSubstr("SLUICE_RELAY_NETWORKS: "));
  EXPECT_THAT(mistakesOf({{"SLUICE_ADMIN_LISTEN", "0.0.0.0:8025"}}),
              HasSubstr("SLUICE_ADMIN_LISTEN: "));
  EXPECT_THAT(mistakesOf({{"SLUICE_SMART_HOST", "a.example"}, {"SLUICE_USERNAME", "u"}}),
              HasSubstr("SLUICE_USERNAME: "));
  EXPECT_THAT(mistakesOf({{"SLUICE_PASSWORD_FILE", "/nonexistent"}}),
              HasSubstr("SLUICE_PASSWORD_FILE: "));
  EXPECT_THAT(mistakesOf({{"SLUICE_HOSTNAME_FILE", "/nonexistent"}}),
              HasSubstr("SLUICE_HOSTNAME_FILE: "));
  EXPECT_THAT(mistakesOf({{"SLUICE_HOSTNAME", "a\nb"}}), HasSubstr("SLUICE_HOSTNAME: "));
  EXPECT_THAT(mistakesOf({{"SLUICE_HOSTNAME", "\xff"}}), HasSubstr("SLUICE_HOSTNAME: "));
}

TEST(Environment, AVariableAndItsFileAreAConflict) {
  EXPECT_THAT(mistakesOf({{"SLUICE_USERNAME", "u"}, {"SLUICE_USERNAME_FILE", "/u"}}),
              HasSubstr("SLUICE_USERNAME: conflicts with SLUICE_USERNAME_FILE"));
}

TEST(Environment, AnOpenRelayDoesNotStart) {
  EXPECT_THAT(mistakesOf({{"SLUICE_LISTEN", "0.0.0.0:25"}, {"SLUICE_RELAY_NETWORKS", "0.0.0.0/0"}}),
              HasSubstr("SLUICE_RELAY_NETWORKS: "));
}

// Kubernetes sets such variables for a service called "sluice".
TEST(Environment, VariablesOfOthersAreLeftAlone) {
  read({{"SLUICE_PORT", "tcp://10.0.0.1:25"}, {"SLUICE_SERVICE_HOST", "10.0.0.1"}});
}

}  // namespace
}  // namespace sluice::relay
