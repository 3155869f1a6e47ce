// Which way the keys go: the next host, the next connector, waiting, and being forgotten.
#include "relay/deliver/dispatcher.h"

#include "deliver_fakes.h"

namespace sluice::relay {
namespace {

using std::chrono::milliseconds;

struct Dispatching : Delivering {
  ScriptedHost first{*loop, "127.0.9.1"};
  ScriptedHost second{*loop, "127.0.9.2", first.port()};

  Dispatching() {
    // Each domain has two hosts, the second one only if the first does not take mail.
    resolver.answer_mx = [](const std::string& domain) -> Result<net::MxAnswer> {
      net::MxAnswer answer;
      answer.hosts = {{"first." + domain, 10}, {"second." + domain, 20}};
      answer.valid_until = SteadyTime::max();
      return answer;
    };
    resolver.answer_addresses = [](const std::string& host) {
      return addressOf(host.starts_with("first") ? "127.0.9.1" : "127.0.9.2");
    };
  }
  SendConfig internet(int cost = 1) {
    SendConfig connector = byMx("internet", first.port());
    connector.address_spaces = {{"*", cost}};
    return connector;
  }
  void add(const std::string& domain) { queue.add(domain, "r@" + domain); }
};

TEST_F(Dispatching, GoesToTheNextHostWhenTheFirstRefusesConnections) {
  first.refuseConnections();
  start({internet()});
  add("a.test");
  ASSERT_TRUE(until([&] { return queue.ended == 1; }));
  EXPECT_EQ(second.messages, 1u);
}

TEST_F(Dispatching, GoesToTheNextHostWhenTheFirstGreetsWithARefusalAndLetsItRest) {
  first.answer = [](const std::string&) { return "554 5.3.2 not here\r\n"; };
  SendConfig connector = internet();
  connector.limits.host_backoff = std::chrono::hours(1);
  connector.limits.max_messages_per_connection = 1;
  config.queue.retry_first = std::chrono::hours(1);
  start({connector});
  for (size_t i = 1; i <= 3; ++i) {
    add("a.test");
    ASSERT_TRUE(until([&] { return queue.ended == i; }));
  }
  EXPECT_EQ(second.messages, 3u);
  EXPECT_EQ(first.accepted, 1u);
}

TEST_F(Dispatching, GoesByTheNextCostWhenNoHostOfTheFirstAnswers) {
  first.refuseConnections();
  second.refuseConnections();
  ScriptedHost hub{*loop, "127.0.9.3"};
  SendConfig backup = byMx("backup", hub.port());
  backup.address_spaces = {{"*", 10}};
  resolver.answer_addresses = [&](const std::string&) { return addressOf("127.0.9.3"); };
  start({internet(), backup});
  add("a.test");
  ASSERT_TRUE(until([&] { return queue.ended == 1; }));
  EXPECT_EQ(hub.messages, 1u);
  EXPECT_TRUE(queue.deferred.empty());
}

TEST_F(Dispatching, GoesByTheNextCostFromASmartHostToo) {
  first.refuseConnections();
  ScriptedHost hub{*loop, "127.0.9.3"};
  SendConfig backup = smartHost("backup", {{"127.0.9.3", hub.port()}});
  backup.address_spaces = {{"*", 10}};
  start({smartHost("main", {{"127.0.9.1", first.port()}}), backup});
  queue.add("=main", "r@a.test");
  queue.add("=main", "r@b.test");
  ASSERT_TRUE(until([&] { return queue.ended == 2; }));
  EXPECT_EQ(hub.messages, 2u);
}

TEST_F(Dispatching, OpensNothingToASuspendedDestinationUntilItIsResumed) {
  start({internet()});
  dispatcher->setSuspended("a.test", true);
  add("a.test");
  add("b.test");
  ASSERT_TRUE(until([&] { return queue.ended == 1; }));
  EXPECT_EQ(queue.readyGroups("a.test"), 1u);
  EXPECT_EQ(stateOf("a.test"), "suspended");
  dispatcher->setSuspended("a.test", false);
  ASSERT_TRUE(until([&] { return queue.ended == 2; }));
}

TEST_F(Dispatching, TakesNothingMoreFromADestinationSuspendedMeanwhile) {
  SendConfig connector = internet();
  connector.limits.max_connections = 1;
  start({connector});
  first.answer = [&](const std::string& line) {
    if (line == ".") dispatcher->setSuspended("a.test", true);
    return "ok";
  };
  for (int i = 0; i < 10; ++i) add("a.test");
  ASSERT_TRUE(until([&] { return queue.active == 0 && first.open() == 0 && queue.ended > 0; }));
  EXPECT_LE(queue.ended, 2u);  // those under way came to their end
  EXPECT_GE(queue.readyGroups("a.test"), 8u);
}

TEST_F(Dispatching, BouncesWhatWaitsForADomainThatDoesNotExist) {
  resolver.answer_mx = [](const std::string& domain) -> Result<net::MxAnswer> {
    return fail(Errc::NoDomain, domain + " does not exist");
  };
  start({internet()});
  for (int i = 0; i < 250; ++i) add("gone.test");
  ASSERT_TRUE(until([&] { return queue.ended == 250; }));
  EXPECT_EQ(log.count("bounced"), 250u);
  EXPECT_TRUE(dispatcher->destinations().empty());
}

TEST_F(Dispatching, ForgetsADestinationThatIdles) {
  start({internet()});
  add("a.test");
  ASSERT_TRUE(until([&] { return queue.ended == 1; }));
  EXPECT_TRUE(until([&] { return dispatcher->destinations().empty(); }));
  add("a.test");
  ASSERT_TRUE(until([&] { return queue.ended == 2; }));
}

// Its only message is deferred, so nothing is left that would ask for it.
TEST_F(Dispatching, ForgetsADestinationThatCouldNotBeReachedAfterItsRest) {
  first.refuseConnections();
  second.refuseConnections();
  start({internet()});
  add("a.test");
  ASSERT_TRUE(until([&] { return queue.deferred.size() == 1; }));
  EXPECT_EQ(stateOf("a.test"), "resting");
  EXPECT_TRUE(until([&] { return dispatcher->destinations().empty(); }));
}

TEST_F(Dispatching, AsksNoMoreForADomainWhoseMessagesAreAllDeferred) {
  resolver.answer_mx = [](const std::string&) -> Result<net::MxAnswer> {
    return fail(Errc::DnsFailed, "SERVFAIL");
  };
  start({internet()});
  add("a.test");
  EXPECT_TRUE(until([&] { return dispatcher->destinations().empty(); }));
  EXPECT_EQ(queue.deferred.size(), 1u);
  EXPECT_EQ(resolver.mx_asked, 1u);
}

TEST_F(Dispatching, KeepsNothingOfManyRandomDomains) {
  size_t number = 0;
  resolver.answer_mx = [&](const std::string& domain) -> Result<net::MxAnswer> {
    if (number % 50 > 0) return fail(number % 2 ? Errc::NoDomain : Errc::DnsFailed, domain);
    net::MxAnswer answer;  // a host of its own that refuses connections
    answer.hosts = {{domain, 10}};
    answer.valid_until = SteadyTime::max();
    return answer;
  };
  first.refuseConnections();
  second.refuseConnections();
  config.queue.retry_first = milliseconds(1);
  SendConfig connector = internet();
  connector.limits.host_backoff = milliseconds(1);
  start({connector});
  for (number = 0; number < 50'000; ++number) {
    add("d" + std::to_string(number) + ".test");
    if (number % 100 == 0) turn(*loop);
  }
  ASSERT_TRUE(until([&] { return queue.ended + queue.deferred.size() == 50'000; }));
  EXPECT_TRUE(until([&] { return dispatcher->destinations().empty(); }));
}

// Domains of one big provider, each with a message once: its pool is always in use.
TEST_F(Dispatching, KeepsFewDomainsOfADestinationThatIsAlwaysBusy) {
  resolver.answer_mx = [](const std::string&) -> Result<net::MxAnswer> {
    net::MxAnswer answer;
    answer.hosts = {{"first.provider.test", 10}};
    answer.valid_until = SteadyTime::max();
    return answer;
  };
  SendConfig connector = internet();
  connector.limits.idle_timeout = std::chrono::hours(1);
  start({connector});
  for (size_t i = 0; i < 5'000; ++i) {
    add("d" + std::to_string(i) + ".test");
    if (i % 50 > 0) continue;
    ASSERT_TRUE(until([&] { return queue.ended + 50 > i; }));
  }
  ASSERT_TRUE(until([&] { return queue.ended == 5'000; }));
  ASSERT_EQ(dispatcher->destinations().size(), 1u);
  EXPECT_LE(dispatcher->destinations()[0].keys.size(), 2'500u);
}

}  // namespace
}  // namespace sluice::relay
