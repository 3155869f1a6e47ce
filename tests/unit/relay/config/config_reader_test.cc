// What a configuration that is right is read as: defaults, values, variables, secrets.
#include "tests/unit/relay/config/config_scene.h"

namespace sluice::relay {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

Config read(const std::string& text, const Surroundings& scene = sceneWith()) {
  const LoadedConfig loaded = parseConfig(text, "a.toml", scene);
  EXPECT_THAT(loaded.mistakes, IsEmpty()) << allMistakes(loaded);
  return loaded.config;
}

std::string mistakesOf(const std::string& text, const Surroundings& scene = sceneWith()) {
  return allMistakes(parseConfig(text, "a.toml", scene));
}

TEST(ConfigReader, AnEmptyFileGivesARelayForLoopbackClientsOnly) {
  const Config config = read("");
  ASSERT_THAT(config.receive, SizeIs(1));
  EXPECT_EQ(config.receive[0].name, "local");
  ASSERT_THAT(config.receive[0].listen, SizeIs(2));
  EXPECT_EQ(config.receive[0].listen[0].toString(), "127.0.0.1:2525");
  EXPECT_EQ(config.receive[0].listen[1].toString(), "[::1]:2525");
  ASSERT_THAT(config.receive[0].relay_networks, SizeIs(2));
  EXPECT_EQ(config.receive[0].relay_networks[0].toString(), "127.0.0.0/8");
  EXPECT_EQ(config.receive[0].relay_networks[1].toString(), "::1/128");
  EXPECT_FALSE(config.receive[0].open_relay);
  EXPECT_EQ(config.admin.listen.toString(), "127.0.0.1:8025");
}

TEST(ConfigReader, AnEmptyFileSendsEverythingByMx) {
  const Config config = read("");
  ASSERT_THAT(config.send, SizeIs(1));
  EXPECT_EQ(config.send[0].name, "internet");
  EXPECT_EQ(config.send[0].route, Route::Mx);
  ASSERT_THAT(config.send[0].address_spaces, SizeIs(1));
  EXPECT_EQ(config.send[0].address_spaces[0].domain, "*");
  EXPECT_EQ(config.send[0].address_spaces[0].cost, 1);
}

TEST(ConfigReader, DefaultsThatDependOnTheMachineAreResolved) {
  const Config config = read("");
  EXPECT_EQ(config.hostname, "relay.example.com");
  EXPECT_EQ(config.postmaster, "postmaster@relay.example.com");
  EXPECT_NEAR(static_cast<double>(config.queue.memory), 2.0 * (1 << 30), 100);
}

TEST(ConfigReader, ThePostmasterFollowsTheHostname) {
  EXPECT_EQ(read("hostname = \"Mail.Example.NET\"").postmaster, "postmaster@mail.example.net");
}

TEST(ConfigReader, TheLongestWaitIsNotShorterThanTheFirst) {
  EXPECT_EQ(read("[queue]\nretry_first = \"3h\"").queue.retry_max, 3h);
  EXPECT_EQ(read("[queue]\nretry_max = \"10s\"").queue.retry_max, 2min);
}

TEST(ConfigReader, AShortLifetimeLeavesNoTimeForTheDefaultNotice) {
  EXPECT_EQ(read("[queue]\nlifetime = \"2s\"").queue.lifetime, 2s);
}

TEST(ConfigReader, WithoutIpv6TheDefaultListensOnIpv4Only) {
  Surroundings scene = sceneWith();
  scene.ipv6_loopback = false;
  EXPECT_THAT(read("", scene).receive[0].listen, SizeIs(1));
}

TEST(ConfigReader, EveryKeyReachesItsMember) {
  const Config config = read(R"(
hostname = "a.example"
data_dir = "/srv/queue"
shards = 3
postmaster = "root@b.example"
[dns]
servers = ["127.0.0.1:53", "[::1]:5353"]
timeout = "2500ms"
attempts = 2
trust_ad = true
[[receive]]
name = "apps"
listen = ["192.0.2.1:25"]
relay_networks = ["10.0.0.0/8", "2001:db8::/32", "192.0.2.7"]
auth = "off"
auth_failure_delay = "2s"
auth_lockout = { failures = 3, time = "1h" }
max_message_size = "10MiB"
max_recipients = 7
max_connections = 8
max_connections_per_client = 9
command_timeout = "10s"
data_timeout = "20s"
max_errors = 4
bare_newline = "reject"
max_received = 30
add_missing_headers = true
[[send]]
name = "out"
address_spaces = ["example.com", ".Example.com", { domain = "*", cost = 10 }]
route = "smart-host"
smart_hosts = ["smtp.example.net:587", "192.0.2.3", "[2001:db8::1]:2525"]
balance = true
tls = "off"
max_connections = 5
max_messages_per_connection = 6
max_recipients_per_transaction = 7
rate = "5000/m"
connect_timeout = "1s"
command_timeout = "2s"
final_reply_timeout = "3s"
idle_timeout = "4s"
host_backoff = "5s"
source_addresses = ["192.0.2.9"]
helo = "[192.0.2.9]"
allow_private_hosts = ["127.0.0.0/8"]
[[destination]]
match = ["example.org", ".example.org", "mx:*.mail.example.net"]
rate = "10/s"
max_connections = 2
[queue]
retry_first = "1m"
retry_factor = 3
retry_max = "2h"
retry_jitter = 0.5
lifetime = "2d"
delay_notice = "0"
memory = "64MiB"
database_memory = "128MiB"
disk_reserve = 1000000
commit_timeout = "5s"
drain_timeout = "6s"
[tls_report]
from = "tls@a.example"
[admin]
listen = "[::1]:9000"
token = "secret"
hosts = ["relay.example.com"]
metrics_destinations = 10
[log]
level = "debug"
format = "text"
)");
  EXPECT_EQ(config.data_dir, "/srv/queue");
  EXPECT_EQ(config.shards, 3);
  EXPECT_EQ(config.tls_report.from, "tls@a.example");
  EXPECT_EQ(config.tls_report.organization, "a.example");
  EXPECT_EQ(config.tls_report.contact, "tls@a.example");
  EXPECT_EQ(config.postmaster, "root@b.example");
  EXPECT_EQ(config.metrics_destinations, 10);
  EXPECT_THAT(config.dns.servers, SizeIs(2));
  EXPECT_EQ(config.dns.timeout, 2500ms);
  EXPECT_EQ(config.dns.attempts, 2);
  EXPECT_TRUE(config.dns.trust_ad);

  ASSERT_THAT(config.receive, SizeIs(1));
  const ReceiveConfig& receive = config.receive[0];
  EXPECT_EQ(receive.name, "apps");
  EXPECT_THAT(receive.listen, SizeIs(1));
  ASSERT_THAT(receive.relay_networks, SizeIs(3));
  EXPECT_EQ(receive.relay_networks[2].toString(), "192.0.2.7/32");
  EXPECT_EQ(receive.auth, ReceiveAuth::Off);
  EXPECT_EQ(receive.auth_failure_delay, 2s);
  EXPECT_EQ(receive.auth_lockout.failures, 3);
  EXPECT_EQ(receive.auth_lockout.window, 10min);  // left out: its default stays
  EXPECT_EQ(receive.auth_lockout.time, 1h);
  EXPECT_EQ(receive.max_message_size, 10u << 20);
  EXPECT_EQ(receive.max_recipients, 7);
  EXPECT_EQ(receive.max_connections, 8);
  EXPECT_EQ(receive.max_connections_per_client, 9);
  EXPECT_EQ(receive.command_timeout, 10s);
  EXPECT_EQ(receive.data_timeout, 20s);
  EXPECT_EQ(receive.max_errors, 4);
  EXPECT_EQ(receive.bare_newline, BareNewline::Reject);
  EXPECT_EQ(receive.max_received, 30);
  EXPECT_TRUE(receive.add_missing_headers);

  ASSERT_THAT(config.send, SizeIs(1));
  const SendConfig& send = config.send[0];
  ASSERT_THAT(send.address_spaces, SizeIs(3));
  EXPECT_EQ(send.address_spaces[1].domain, ".example.com");
  EXPECT_EQ(send.address_spaces[2].cost, 10);
  EXPECT_EQ(send.route, Route::SmartHost);
  EXPECT_THAT(send.smart_hosts,
              ElementsAre(SmartHost{"smtp.example.net", 587}, SmartHost{"192.0.2.3", 25},
                          SmartHost{"2001:db8::1", 2525}));
  EXPECT_TRUE(send.balance);
  EXPECT_EQ(send.limits.tls, SendTls::Off);
  EXPECT_EQ(send.limits.max_connections, 5);
  EXPECT_EQ(send.limits.max_messages_per_connection, 6);
  EXPECT_EQ(send.limits.max_recipients_per_transaction, 7);
  EXPECT_EQ(send.limits.rate.count, 5000u);
  EXPECT_EQ(send.limits.rate.per, 60s);
  EXPECT_EQ(send.limits.connect_timeout, 1s);
  EXPECT_EQ(send.limits.command_timeout, 2s);
  EXPECT_EQ(send.limits.final_reply_timeout, 3s);
  EXPECT_EQ(send.limits.idle_timeout, 4s);
  EXPECT_EQ(send.limits.host_backoff, 5s);
  EXPECT_THAT(send.source_addresses, SizeIs(1));
  EXPECT_EQ(send.helo, "[192.0.2.9]");
  EXPECT_THAT(send.allow_private_hosts, SizeIs(1));

  ASSERT_THAT(config.destination, SizeIs(1));
  EXPECT_THAT(config.destination[0].match,
              ElementsAre("example.org", ".example.org", "mx:*.mail.example.net"));
  EXPECT_EQ(config.destination[0].max_connections, 2);
  ASSERT_TRUE(config.destination[0].rate);
  EXPECT_EQ(config.destination[0].rate->count, 10u);
  EXPECT_FALSE(config.destination[0].tls);
  EXPECT_FALSE(config.destination[0].connect_timeout);

  EXPECT_EQ(config.queue.retry_first, 1min);
  EXPECT_EQ(config.queue.retry_factor, 3);
  EXPECT_EQ(config.queue.retry_max, 2h);
  EXPECT_EQ(config.queue.retry_jitter, 0.5);
  EXPECT_EQ(config.queue.lifetime, 48h);
  EXPECT_EQ(config.queue.delay_notice, 0s);
  EXPECT_EQ(config.queue.memory, 64u << 20);
  EXPECT_EQ(config.queue.database_memory, 128u << 20);
  EXPECT_EQ(config.queue.disk_reserve, 1'000'000u);
  EXPECT_EQ(config.queue.commit_timeout, 5s);
  EXPECT_EQ(config.queue.drain_timeout, 6s);
  EXPECT_EQ(config.admin.listen.toString(), "[::1]:9000");
  EXPECT_EQ(config.admin.token, "secret");
  EXPECT_THAT(config.admin.hosts, ElementsAre("relay.example.com"));
  EXPECT_EQ(config.log.level, "debug");
  EXPECT_EQ(config.log.format, "text");
}

TEST(ConfigReader, AllMistakesComeAtOnceInTheOrderOfTheFile) {
  EXPECT_EQ(mistakesOf("shards = -1\nhostnam = \"a\"\n[queue]\nmemory = \"1%%\"\nlifetime = 4\n"),
            "a.toml:1:10: shards: -1 is not from 0 to 256\n"
            "a.toml:2:1: hostnam: unknown key (did you mean \"hostname\"?)\n"
            "a.toml:4:10: [queue] memory: \"1%%\" is no percentage from 1% to 90%\n"
            "a.toml:5:12: [queue] lifetime: needs a unit: write \"4s\" for 4 seconds\n");
}

TEST(ConfigReader, SectionsWithoutANameAreNumbered) {
  const Config config =
      read("[[receive]]\nlisten = [\"127.0.0.1:1\"]\n[[receive]]\nlisten = [\"127.0.0.1:2\"]\n");
  EXPECT_EQ(config.receive[0].name, "receive");
  EXPECT_EQ(config.receive[1].name, "receive-2");
}

TEST(ConfigReader, VariablesExpandWithTheirDefaults) {
  const auto scene = sceneWith({{"HOST", "a.example"}, {"EMPTY", ""}, {"DEEP", "${HOST}"}});
  EXPECT_EQ(read("hostname = \"mx.${HOST}\"", scene).hostname, "mx.a.example");
  EXPECT_EQ(read("hostname = \"${NOT_SET:-b.example}\"", scene).hostname, "b.example");
  EXPECT_EQ(read("hostname = \"${EMPTY:-b.example}\"", scene).hostname, "b.example");
  EXPECT_EQ(read("hostname = \"${HOST:-b.example}\"", scene).hostname, "a.example");
  EXPECT_EQ(read("data_dir = \"/$${HOST}/$HOME/$\"", scene).data_dir, "/${HOST}/$HOME/$");
  EXPECT_EQ(read("data_dir = \"/${DEEP}\"", scene).data_dir, "/${HOST}");  // once only
  EXPECT_EQ(read("[[send]]\nrate = \"${RATE:-}\"", scene).send[0].limits.rate.count, 0u);
}

TEST(ConfigReader, AVariableWithALineBreakIsAMistake) {
  const auto scene = sceneWith({{"HOST", "a.example\nforged"}});
  EXPECT_THAT(mistakesOf("hostname = \"${HOST}\"", scene), HasSubstr("control character"));
}

TEST(ConfigReader, SecretsComeFromTheirFilesWithoutTheLineEnd) {
  const TestFolder folder;
  const std::string token = folder.file("token", "t0ken\n");
  const std::string password = folder.file("password", "pass word\r\n");
  const Config config = read(
      "[[send]]\nroute = \"smart-host\"\nsmart_hosts = [\"a.example\"]\n"
      "username = \"u\"\npassword_file = \"" +
      password +
      "\"\n"
      "[admin]\nlisten = \"0.0.0.0:8025\"\ntoken_file = \"" +
      token + "\"\n");
  EXPECT_EQ(config.send[0].password, "pass word");
  EXPECT_EQ(config.admin.token, "t0ken");
}

TEST(ConfigReader, ASecretThatOthersCanReadIsAMistake) {
  const TestFolder folder;
  const std::string open = folder.file("token", "t0ken\n", 0644);
  EXPECT_THAT(mistakesOf("[admin]\ntoken_file = \"" + open + "\"\n"),
              HasSubstr("a.toml:2:14: [admin] token_file: " + open + " is open to every user"));
}

TEST(ConfigReader, ASecretThatAGroupCanReadIsFine) {
  const TestFolder folder;
  read("[admin]\ntoken_file = \"" + folder.file("token", "t0ken\n", 0640) + "\"\n");
}

TEST(ConfigReader, ASecretFileMustHoldOneLine) {
  const TestFolder folder;
  const auto with = [&](const std::string& content) {
    return mistakesOf("[admin]\ntoken_file = \"" + folder.file("token", content) + "\"\n");
  };
  EXPECT_THAT(with(""), HasSubstr("a.toml:2:1: [admin] token_file:"));
  EXPECT_THAT(with("\n"), HasSubstr("is empty"));
  EXPECT_THAT(with("a\nb\n"), HasSubstr("one line"));
  EXPECT_THAT(with("a b\n"), HasSubstr("space"));
  EXPECT_THAT(with(std::string(20'000, 'a')), HasSubstr("too large"));
}

TEST(ConfigReader, FilesThatAreNotThereOrNoFilesAreMistakes) {
  const TestFolder folder;
  EXPECT_THAT(
      mistakesOf("[[receive]]\ntls_certificate = \"/nonexistent/c.pem\"\n"),
      HasSubstr("a.toml:2:19: [[receive]] tls_certificate: cannot read /nonexistent/c.pem"));
  EXPECT_THAT(mistakesOf("[admin]\ntoken_file = \"" + folder.path() + "\"\n"),
              HasSubstr("no regular file"));
  EXPECT_THAT(
      mistakesOf("[[dkim]]\ndomain=\"a.example\"\nselector=\"2026\"\nkey=\"/nonexistent\"\n"),
      HasSubstr("a.toml:4:5: [[dkim]] key: cannot read"));
  EXPECT_THAT(mistakesOf("data_dir = \"" + folder.file("x", "") + "\"\n"),
              HasSubstr("is no directory"));
}

TEST(ConfigReader, APasswordNextToAPasswordFileIsAConflict) {
  const TestFolder folder;
  EXPECT_THAT(
      mistakesOf(
          "[[send]]\nroute = \"smart-host\"\nsmart_hosts = [\"a.example\"]\nusername = \"u\"\n"
          "password = \"p\"\npassword_file = \"" +
          folder.file("p", "p") + "\"\n"),
      HasSubstr("a.toml:5:1: [[send]] password: conflicts with password_file"));
}

TEST(ConfigReader, ACertificateAndItsKeyComeTogether) {
  const TestFolder folder;
  const std::string certificate =
      "tls_certificate = \"" + folder.file("c", kCertificatePem) + "\"\n";
  const std::string key = "tls_key = \"" + folder.file("k", kKeyPem) + "\"\n";
  EXPECT_THAT(mistakesOf("[[receive]]\n" + certificate), HasSubstr("needs its tls_key"));
  EXPECT_THAT(mistakesOf("[[receive]]\n" + key), HasSubstr("needs its tls_certificate"));
  EXPECT_EQ(mistakesOf("[[receive]]\n" + certificate + key), "");
}

TEST(ConfigReader, ACertificateThatCannotBeUsedIsAMistakeAtItsKey) {
  const TestFolder folder;
  const auto with = [&](const std::string& certificate, const std::string& key,
                        mode_t key_mode = 0600) {
    return mistakesOf("[[receive]]\ntls_certificate = \"" + folder.file("c", certificate) +
                      "\"\ntls_key = \"" + folder.file("k", key, key_mode) + "\"\n");
  };
  EXPECT_EQ(with(kCertificatePem, kKeyPem), "");
  EXPECT_THAT(with("no PEM at all\n", kKeyPem),
              AllOf(HasSubstr("a.toml:2:1: [[receive]] tls_certificate: "),
                    HasSubstr("holds no PEM certificate")));
  EXPECT_THAT(
      with(kCertificatePem, "no PEM at all\n"),
      AllOf(HasSubstr("a.toml:3:1: [[receive]] tls_key: "), HasSubstr("holds no PEM private key")));
  EXPECT_THAT(with(kCertificatePem, kOtherKeyPem),
              AllOf(HasSubstr("a.toml:3:1: [[receive]] tls_key: "),
                    HasSubstr("is not the key of the certificate")));
  EXPECT_THAT(with(kCertificatePem, kKeyPem, 0644),
              AllOf(HasSubstr("a.toml:3:11: [[receive]] tls_key: "), HasSubstr("chmod o-rwx")));
}

TEST(ConfigReader, SeveralCertificatesComeWithAKeyForEach) {
  const TestFolder folder;
  const std::string certificate = "\"" + folder.file("c", kCertificatePem) + "\"";
  const std::string key = "\"" + folder.file("k", kKeyPem) + "\"";
  EXPECT_EQ(mistakesOf("[[receive]]\ntls_certificate = [" + certificate + ", " + certificate +
                       "]\ntls_key = [" + key + ", " + key + "]\n"),
            "");
  EXPECT_THAT(mistakesOf("[[receive]]\ntls_certificate = [" + certificate + ", " + certificate +
                         "]\ntls_key = " + key + "\n"),
              HasSubstr("a.toml:3:1: [[receive]] tls_key: needs one key for each"));
}

TEST(ConfigReader, AuthoritiesThatCannotBeReadAreAMistake) {
  const TestFolder folder;
  EXPECT_THAT(mistakesOf("[[send]]\ntls_ca_file = \"" + folder.file("ca", "nothing") + "\"\n"),
              HasSubstr("a.toml:2:1: [[send]] tls_ca_file: "));
  EXPECT_EQ(mistakesOf("[[send]]\ntls = \"verify\"\ntls_ca_file = \"" +
                       folder.file("ca", kCertificatePem) + "\"\n"),
            "");
}

TEST(ConfigReader, AUsersFileNeedsTlsOrLeaveToDoWithout) {
  const TestFolder folder;
  const std::string users = "[[receive]]\nusers_file = \"" + folder.file("u", kUsersLine) + "\"\n";
  EXPECT_THAT(mistakesOf(users), HasSubstr("only offered under TLS"));
  EXPECT_EQ(mistakesOf(users + "auth_plaintext = true\n"), "");
}

TEST(ConfigReader, AnOpenRelayMustBeAskedForByName) {
  const std::string open =
      "[[receive]]\nlisten = [\"0.0.0.0:25\"]\nrelay_networks = [\"0.0.0.0/0\"]\n";
  EXPECT_THAT(mistakesOf(open), HasSubstr("open relay"));
  EXPECT_EQ(mistakesOf(open + "open_relay = true\n"), "");
}

TEST(ConfigReader, WideNetworksAreFineOnLoopbackUnlessClientsComeByProxy) {
  const std::string wide = "[[receive]]\nrelay_networks = [\"0.0.0.0/0\"]\n";
  EXPECT_EQ(mistakesOf(wide), "");
  EXPECT_THAT(mistakesOf(wide + "proxy_protocol_networks = [\"127.0.0.1\"]\n"),
              HasSubstr("open relay"));
}

TEST(ConfigReader, PrivateNetworksMayRelay) {
  EXPECT_EQ(mistakesOf("[[receive]]\nlisten = [\"0.0.0.0:25\"]\n"
                       "relay_networks = [\"10.0.0.0/8\", \"172.16.0.0/12\", \"192.168.0.0/16\", "
                       "\"100.64.0.0/10\", \"fc00::/7\", \"fe80::/10\"]\n"),
            "");
}

TEST(ConfigReader, AFileThatIsNotThereIsOneMistake) {
  const LoadedConfig loaded = readConfig("/nonexistent/a.toml", sceneWith());
  EXPECT_EQ(allMistakes(loaded),
            "/nonexistent/a.toml: cannot read /nonexistent/a.toml: No such file or directory\n");
}

TEST(ConfigReader, ReadsAFile) {
  const TestFolder folder;
  const LoadedConfig loaded = readConfig(folder.file("a.toml", "shards = 2\n"), sceneWith());
  EXPECT_TRUE(loaded.ok());
  EXPECT_TRUE(loaded.from_file);
  EXPECT_EQ(loaded.config.shards, 2);
}

// What is demanded and not there must stop the start; defaults must not.
TEST(ConfigReader, CredentialsAreForAHostThatProvesItsNameUnlessAnotherTlsIsChosen) {
  const std::string smart =
      "[[send]]\nroute = \"smart-host\"\nsmart_hosts = [\"a.example\"]\nusername = \"u\"\n"
      "password = \"p\"\n";
  const auto tlsOf = [&](const std::string& more) {
    return parseConfig(smart + more, "a.toml", sceneWith()).config.send.at(0).limits.tls;
  };
  EXPECT_EQ(tlsOf(""), SendTls::Verify);
  EXPECT_EQ(tlsOf("tls = \"required\"\n"), SendTls::Required);
  EXPECT_EQ(mistakesOf(smart + "tls = \"required\"\n"), "");
  for (const char* tls : {"off", "opportunistic"}) {
    EXPECT_THAT(mistakesOf(smart + "tls = \"" + tls + "\"\n"),
                HasSubstr("a.toml:6:1: [[send]] tls: credentials are not sent without TLS"));
  }
}

TEST(ConfigReader, AMistakeIsOneLineWhateverItQuotes) {
  for (const auto& mistake :
       parseConfig("\"a\\nb\\u001b\" = 1\n", "a.toml", sceneWith()).mistakes) {
    EXPECT_EQ(mistake.toString().find_first_of("\n\x1b"), std::string::npos);
  }
}

}  // namespace
}  // namespace sluice::relay
