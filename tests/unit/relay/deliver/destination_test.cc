// The connections of a destination: how many, how long they are kept, how fast messages go, and
// what comes of hosts that do not master what they offer.
#include "relay/deliver/destination.h"

#include "deliver_fakes.h"

namespace sluice::relay {
namespace {

using std::chrono::milliseconds;

struct Destinations : Delivering {
  ScriptedHost host{*loop, "127.0.9.1"};
  SendConfig connector = smartHost("out", {{"127.0.9.1", host.port()}});

  void begin() { start({connector}); }
  void add(int count) {
    for (int i = 0; i < count; ++i) queue.add("=out", "r" + std::to_string(i) + "@there.test");
  }
  bool ended(size_t count) {
    return until([&] { return queue.ended + queue.deferred.size() >= count; });
  }
};

TEST_F(Destinations, OpensNoMoreConnectionsThanItsLimit) {
  connector.limits.max_connections = 3;
  host.answer = [](const std::string& line) { return line == "." ? "" : "ok"; };
  begin();
  add(20);
  ASSERT_TRUE(until([&] { return host.holding() == 3; }));
  host.answer = [](const std::string&) { return "ok"; };
  host.release("250 2.0.0 taken\r\n");
  ASSERT_TRUE(ended(20));
  EXPECT_EQ(host.peak, 3u);
  EXPECT_EQ(queue.ended, 20u);
}

TEST_F(Destinations, ReusesAConnectionAndPartsWithQuitWhenItIdles) {
  connector.limits.max_connections = 1;
  begin();
  for (size_t i = 1; i <= 5; ++i) {
    add(1);
    ASSERT_TRUE(ended(i));
  }
  EXPECT_EQ(host.accepted, 1u);
  ASSERT_TRUE(until([&] { return host.lines.back() == "QUIT"; }));
  add(1);
  ASSERT_TRUE(ended(6));
  EXPECT_EQ(host.accepted, 2u);
}

TEST_F(Destinations, CarriesNoMoreMessagesOnAConnectionThanItsLimit) {
  connector.limits.max_connections = 1;
  connector.limits.max_messages_per_connection = 4;
  begin();
  add(12);
  ASSERT_TRUE(ended(12));
  EXPECT_EQ(host.accepted, 3u);
}

TEST_F(Destinations, SendsNoFasterThanItsRate) {
  connector.limits.rate = Rate{3, std::chrono::seconds(1)};
  begin();
  add(5);
  ASSERT_TRUE(until([&] { return stateOf("=out") == "limited"; }));
  EXPECT_LE(queue.ended, 3u);  // a burst of one second's worth
  ASSERT_TRUE(ended(5));
  EXPECT_EQ(queue.ended, 5u);
}

// Each further connection ended at once, because the host rested, and asked for the next.
TEST_F(Destinations, DoesNotGoInCirclesWhenTheHostRestsWhileAConnectionIsBeingMade) {
  host.answer = [](const std::string&) { return ""; };  // accepts, and does not greet
  connector.smart_hosts = {{"slow.test", host.port()}};
  resolver.answer_addresses = [](const std::string&) { return addressOf("127.0.9.1"); };
  begin();
  add(1);
  ASSERT_TRUE(until([&] { return host.accepted == 1; }));
  context->health.failed(*Endpoint::parse("127.0.9.1:" + std::to_string(host.port())), loop->now(),
                         std::chrono::hours(1), std::chrono::hours(1));
  resolver.answers = 1000;  // so that a circle comes to an end here
  add(3);
  turn(*loop);
  EXPECT_LE(resolver.addresses_asked, 10u);
  EXPECT_EQ(dispatcher->destinationOf("=out").connections, 1u);
}

TEST_F(Destinations, RestsWhenItsHostRefusesAndComesBackByItself) {
  host.refuseConnections();
  begin();
  add(3);
  ASSERT_TRUE(until([&] { return stateOf("=out") == "resting"; }));
  EXPECT_EQ(queue.deferred.size(), 1u);  // it bears the reason; the others wait
  EXPECT_EQ(queue.readyGroups("=out"), 2u);
  EXPECT_NE(dispatcher->destinationOf("=out").why.text.find("127.0.9.1"), std::string::npos);
  host.listen();
  ASSERT_TRUE(until([&] { return queue.ended == 2; }));
}

TEST_F(Destinations, GoesOnWithFewerConnectionsWhenTheHostTakesNoMore) {
  host.answer = [this](const std::string& line) {
    if (line.empty() && host.accepted > 2) return "421 4.7.0 too many connections\r\n";
    return "ok";
  };
  begin();
  add(60);
  ASSERT_TRUE(until([&] { return queue.ended == 60; }));
  EXPECT_TRUE(queue.deferred.empty());
  EXPECT_EQ(host.messages, 60u);
}

// RFC 5321 section 3.8: what a server had not answered before its 421 it has not taken.
TEST_F(Destinations, SendsOnAnotherConnectionWhatA421CutOff) {
  connector.limits.max_connections = 1;
  host.extensions = "250-host.test\r\n250-PIPELINING\r\n250 CHUNKING\r\n";
  size_t mails = 0;
  host.answer = [&](const std::string& line) -> std::string {
    if (line.empty()) mails = 0;
    if (line.starts_with("MAIL") && ++mails > 5) return "421 4.4.2 five are enough\r\n";
    if (mails > 5) return "";
    return "ok";
  };
  begin();
  add(20);
  ASSERT_TRUE(until([&] { return queue.ended + queue.deferred.size() == 20; }));
  EXPECT_EQ(queue.ended, 20u);
  EXPECT_EQ(host.messages, 20u);
  EXPECT_EQ(connector_metrics["out"]->ambiguous.value(), 0u);
}

TEST_F(Destinations, SendsManyBehindEachOtherWhereTheHostTakesChunks) {
  connector.limits.max_connections = 1;
  host.extensions = "250-host.test\r\n250-PIPELINING\r\n250 CHUNKING\r\n";
  size_t contents = 0;
  host.answer = [&](const std::string& line) {
    return line == "." && ++contents > 30 ? "" : "ok";  // then it takes its time
  };
  begin();
  add(100);
  EXPECT_TRUE(until([&] { return host.mostWaiting() >= 20; }));
  host.answer = [](const std::string&) { return "ok"; };
  host.release("250 2.0.0 taken\r\n");
  ASSERT_TRUE(ended(100));
  EXPECT_EQ(host.messages, 100u);
}

TEST_F(Destinations, SpreadsAFewMessagesOverItsConnections) {
  connector.limits.max_connections = 4;
  connector.limits.idle_timeout = std::chrono::hours(1);
  host.extensions = "250-host.test\r\n250-PIPELINING\r\n250 CHUNKING\r\n";
  begin();
  add(200);
  ASSERT_TRUE(until([&] { return host.open() == 4 && queue.ended == 200; }));
  host.answer = [](const std::string& line) { return line == "." ? "" : "ok"; };
  add(16);  // it was quick so far, so four go behind each other
  ASSERT_TRUE(until([&] { return host.holding() == 4; }));
  EXPECT_LE(host.mostWaiting(), 4u);
  // No answer comes, and nobody waits for one: what comes now rides behind.
  EXPECT_TRUE(until([&] {
    if (queue.readyGroups("=out") == 0 && queue.active < 24) add(1);
    return queue.active == 24;
  }));
  EXPECT_TRUE(until([&] { return host.mostWaiting() > 4; }));
  EXPECT_LT(host.mostWaiting(), 16u);
}

// The other shard has mail for the same hosts, and came later.
TEST_F(Destinations, GivesAnotherShardItsShareOfConnections) {
  connector.limits.max_connections = 4;
  connector.limits.idle_timeout = std::chrono::hours(1);
  begin();
  add(400);
  ASSERT_TRUE(until([&] { return host.open() == 4; }));
  FakeQueue other_queue;
  DeliveryContext other{
      *loop,           other_queue,     resolver, log, budgets, metrics, connector_metrics,
      context->config, context->router, {},       {},  {},      {}};
  Dispatcher other_dispatcher(other);
  other_queue.listener = &other_dispatcher;
  for (int i = 0; i < 400; ++i) other_queue.add("=out", "o@there.test");
  // Both have work all the time.
  EXPECT_TRUE(until([&] {
    if (queue.readyGroups("=out") < 200) add(200);
    if (other_queue.readyGroups("=out") < 200) other_queue.add("=out", "o@there.test");
    return other_dispatcher.destinationOf("=out").connections == 2 &&
           dispatcher->destinationOf("=out").connections == 2;
  }));
  EXPECT_LE(host.peak, 4u);
  other_queue.listener = nullptr;
  other_dispatcher.abortAll();
  turn(*loop);
}

// The other shard has more work than its share, and we have none: what idles here is of use there.
TEST_F(Destinations, LetsGoOfIdleConnectionsForWhoHasMoreWorkThanItsShare) {
  connector.limits.max_connections = 4;
  connector.limits.idle_timeout = std::chrono::hours(1);
  begin();
  add(100);
  ASSERT_TRUE(until([&] { return host.open() == 4 && queue.ended == 100; }));
  host.answer = [](const std::string& line) { return line == "." ? "" : "ok"; };
  FakeQueue other_queue;
  DeliveryContext other{
      *loop,           other_queue,     resolver, log, budgets, metrics, connector_metrics,
      context->config, context->router, {},       {},  {},      {}};
  Dispatcher other_dispatcher(other);
  other_queue.listener = &other_dispatcher;
  for (int i = 0; i < 400; ++i) other_queue.add("=out", "o@there.test");
  EXPECT_TRUE(until([&] { return other_dispatcher.destinationOf("=out").connections == 4; }));
  EXPECT_EQ(dispatcher->destinationOf("=out").connections, 0u);
  EXPECT_LE(host.peak, 4u);
  other_queue.listener = nullptr;
  other_dispatcher.abortAll();
  turn(*loop);
}

TEST_F(Destinations, BeginsWithItsShareOfASmartHostsConnections) {
  connector.limits.max_connections = 16;
  budgets.setShards(2);
  host.answer = [](const std::string& line) { return line == "." ? "" : "ok"; };
  begin();
  add(40);
  EXPECT_TRUE(until([&] { return host.holding() == 8; })) << host.holding();
  turn(*loop);
  EXPECT_EQ(host.open(), 8u);
}

// --- Hosts that offer PIPELINING and do not take it.

TEST_F(Destinations, ServesAHostPlainlyThatSwallowsPipelinedCommands) {
  host.swallows = true;
  connector.limits.max_connections = 1;
  connector.limits.command_timeout = milliseconds(30);
  begin();
  add(4);
  ASSERT_TRUE(until([&] { return queue.ended == 3; }));  // one was deferred to find it out
  EXPECT_EQ(queue.deferred.size(), 1u);
  EXPECT_EQ(host.messages, 3u);
}

TEST_F(Destinations, ServesAHostPlainlyThatSaysItIsNotTheTurnOfACommand) {
  host.answer = [this](const std::string& line) {
    const size_t behind = host.lines.size();
    // Commands that came in one segment with others, it takes for something else.
    if (line.starts_with("RCPT") && behind < 4) return "503 5.5.1 bad sequence\r\n";
    if (line.starts_with("DATA") && behind < 5) return "503 5.5.1 bad sequence\r\n";
    return "ok";
  };
  begin();
  add(1);
  ASSERT_TRUE(ended(1));
  EXPECT_EQ(queue.ended, 1u);  // neither bounced nor deferred
  EXPECT_EQ(log.count("delivered"), 1u);
  EXPECT_EQ(host.messages, 1u);
}

TEST_F(Destinations, BelievesARefusalThatIsRepeatedWithoutPipelining) {
  host.answer = [](const std::string& line) {
    return line.starts_with("RCPT") ? "503 5.5.1 I mean it\r\n" : "ok";
  };
  begin();
  add(1);
  ASSERT_TRUE(ended(1));
  EXPECT_EQ(log.count("bounced"), 1u);
}

TEST_F(Destinations, HoldsNoBreakAgainstPipeliningThatHadWorked) {
  connector.limits.max_connections = 1;
  size_t contents = 0;
  host.answer = [&](const std::string& line) {
    return line == "." && ++contents == 10 ? "close" : "ok";
  };
  begin();
  add(20);
  ASSERT_TRUE(ended(20));
  EXPECT_EQ(context->quirks.size(), 0u);
}

TEST(HostQuirks, ForgetAfterAWhileAndStayFew) {
  HostQuirks quirks;
  constexpr auto kPipelining = HostQuirks::Extension::Pipelining;
  const SteadyTime now{std::chrono::hours(1)};
  for (size_t i = 0; i < HostQuirks::kMaxHosts + 100; ++i) {
    const Endpoint host{*IpAddress::parse("192.0.2." + std::to_string(i % 256)),
                        static_cast<uint16_t>(i / 256 + 1)};
    quirks.note(host, kPipelining, now);
    EXPECT_TRUE(quirks.lacks(host, kPipelining, now));
    EXPECT_FALSE(quirks.lacks(host, HostQuirks::Extension::Chunking, now));
    EXPECT_FALSE(quirks.lacks(host, kPipelining, now + HostQuirks::kRemembered));
  }
  EXPECT_LE(quirks.size(), HostQuirks::kMaxHosts);
}

}  // namespace
}  // namespace sluice::relay
