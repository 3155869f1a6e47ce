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

TEST(Environment, TheNamesOfPostfixImagesAreUnderstood) {
  const Config config = read({{"POSTFIX_myhostname", "a.example"},
                              {"RELAYHOST", "[smtp.example.net]:587"},
                              {"RELAYHOST_USERNAME", "user"},
                              {"RELAYHOST_PASSWORD", "secret"},
                              {"MYNETWORKS", "127.0.0.0/8 [::1]/128, 10.0.0.0/8"},
                              {"ALLOWED_SENDER_DOMAINS", "example.com, example.org"},
                              {"POSTFIX_message_size_limit", "1048576"}});
  EXPECT_EQ(config.hostname, "a.example");
  EXPECT_EQ(config.send[0].route, Route::SmartHost);
  EXPECT_THAT(config.send[0].smart_hosts, ElementsAre(SmartHost{"smtp.example.net", 587}));
  EXPECT_EQ(config.send[0].username, "user");
  EXPECT_EQ(config.send[0].password, "secret");
  EXPECT_EQ(config.send[0].limits.tls, SendTls::Verify);
  EXPECT_THAT(config.receive[0].relay_networks, SizeIs(3));
  EXPECT_THAT(config.receive[0].sender_domains,
              ElementsAre("example.com", ".example.com", "example.org", ".example.org"));
  EXPECT_EQ(config.receive[0].max_message_size, 1048576u);
}

TEST(Environment, APasswordOfAPostfixImageComesFromItsFile) {
  const TestFolder folder;
  const Config config = read({{"RELAYHOST", "smtp.example.net:587"},
                              {"RELAYHOST_USERNAME", "user"},
                              {"RELAYHOST_PASSWORD_FILE", folder.file("p", "pass\n", 0600)}});
  EXPECT_EQ(config.send[0].password, "pass");
}

TEST(Environment, RelayHostsMayBeSeveralAndAddresses) {
  const auto hosts = [](const char* value) {
    return read({{"POSTFIX_relayhost", value}}).send[0].smart_hosts;
  };
  EXPECT_THAT(hosts("[a.example]:587 b.example, [192.0.2.1]"),
              ElementsAre(SmartHost{"a.example", 587}, SmartHost{"b.example", 25},
                          SmartHost{"192.0.2.1", 25}));
  EXPECT_THAT(hosts("[2001:db8::1]:26"), ElementsAre(SmartHost{"2001:db8::1", 26}));
}

TEST(Environment, NetworksMayBeSeparatedByColonsAsAnEximImageHasThem) {
  const Config config = read({{"RELAY_NETWORKS", ":192.168.0.0/24:10.0.0.0/16"}});
  ASSERT_THAT(config.receive[0].relay_networks, SizeIs(2));
  EXPECT_EQ(config.receive[0].relay_networks[1].toString(), "10.0.0.0/16");
}

// As the image does that they come from; who may send is then a matter of the domain.
TEST(Environment, SenderDomainsLetPrivateNetworksRelayUnlessOthersAreNamed) {
  const Config config = read({{"ALLOWED_SENDER_DOMAINS", "example.com"}});
  EXPECT_THAT(config.receive[0].relay_networks, SizeIs(5));
  const Config named =
      read({{"ALLOWED_SENDER_DOMAINS", "example.com"}, {"SLUICE_RELAY_NETWORKS", "10.1.0.0/16"}});
  EXPECT_THAT(named.receive[0].relay_networks, SizeIs(1));
  EXPECT_THAT(read({}).receive[0].relay_networks, SizeIs(2));
}

TEST(Environment, PostfixTlsLevelsAreTranslated) {
  const auto tls = [](const char* level) {
    return read({{"RELAYHOST", "a.example"}, {"POSTFIX_smtp_tls_security_level", level}})
        .send[0]
        .limits.tls;
  };
  EXPECT_EQ(tls("none"), SendTls::Off);
  EXPECT_EQ(tls("may"), SendTls::Opportunistic);
  EXPECT_EQ(tls("encrypt"), SendTls::Required);
  EXPECT_EQ(tls("verify"), SendTls::Verify);
  EXPECT_EQ(tls("secure"), SendTls::Verify);
  EXPECT_THAT(
      mistakesOf({{"RELAYHOST", "a.example"}, {"POSTFIX_smtp_tls_security_level", "fingerprint"}}),
      HasSubstr("POSTFIX_smtp_tls_security_level: "));
}

TEST(Environment, NoSizeLimitIsTheLargestThereIs) {
  EXPECT_EQ(read({{"POSTFIX_message_size_limit", "0"}}).receive[0].max_message_size, 2ull << 30);
}

TEST(Environment, TwoNamesOfOneSettingAreAConflict) {
  EXPECT_THAT(mistakesOf({{"SLUICE_SMART_HOST", "a.example"}, {"RELAYHOST", "b.example"}}),
              HasSubstr("RELAYHOST: conflicts with SLUICE_SMART_HOST"));
  EXPECT_THAT(mistakesOf({{"SLUICE_HOSTNAME", "a.example"}, {"POSTFIX_myhostname", "b.example"}}),
              HasSubstr("POSTFIX_myhostname: conflicts with SLUICE_HOSTNAME"));
}

TEST(Environment, PostfixNamesThatAreWrongAreNamed) {
  EXPECT_THAT(mistakesOf({{"RELAYHOST", "[a.example:587"}}), HasSubstr("RELAYHOST: "));
  EXPECT_THAT(mistakesOf({{"MYNETWORKS", "10.0.0.1/8"}}), HasSubstr("MYNETWORKS: "));
  EXPECT_THAT(mistakesOf({{"ALLOWED_SENDER_DOMAINS", "not a domain!"}}),
              HasSubstr("ALLOWED_SENDER_DOMAINS: "));
}

// Kubernetes sets such variables for a service called "sluice".
TEST(Environment, VariablesOfOthersAreLeftAlone) {
  read({{"SLUICE_PORT", "tcp://10.0.0.1:25"}, {"SLUICE_SERVICE_HOST", "10.0.0.1"}});
}

}  // namespace
}  // namespace sluice::relay
