#include "relay/accept/server_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/tcp_stream.h"
#include "tests/unit/relay/accept/accept_fakes.h"

namespace sluice::relay {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

// A client on a stream, and all that the session hands things to.
class Server : public ServerSession::Owner {
 public:
  explicit Server(ReceiveConfig connector = {}, const std::string& peer = "127.0.0.1:4711")
      : context{*loop, queue, log, metrics, routerOf()} {
    session = std::make_unique<ServerSession>(context, settingsOf(std::move(connector)),
                                              std::make_unique<FakeStream>(stream, peer),
                                              static_cast<ServerSession::Owner&>(*this));
    stream.take();
  }
  ~Server() override { session.reset(); }

  void onSessionOver(ServerSession&) override { ++overs; }
  bool onClientChanged(ServerSession&, const IpAddress&) override { return true; }
  std::string say(std::string_view bytes) {
    stream.receive(bytes);
    return stream.take();
  }
  void transaction(std::string_view mail = "MAIL FROM:<a@b.test>\r\n") {
    ASSERT_THAT(say("EHLO client.test\r\n"), StartsWith("250-"));
    ASSERT_THAT(say(mail), StartsWith("250 2.1.0"));
    ASSERT_THAT(say("RCPT TO:<c@d.test>\r\n"), StartsWith("250 2.1.5"));
  }
  // The content as queued, without our Received field.
  std::string content(size_t commit = 0) {
    const std::string& all = queue.commits.at(commit).content;
    const size_t end = all.find("+0000\r\n");
    return end == all.npos ? all : all.substr(end + 7);
  }

  std::unique_ptr<net::Loop> loop = std::move(net::Loop::create().value());
  FakeQueue queue;
  FakeLog log;
  AcceptMetrics metrics;
  StreamRecord stream;
  AcceptContext context;
  std::unique_ptr<ServerSession> session;
  int overs = 0;
};

TEST(ServerSession, QueuesAMessageAndSaysItsId) {
  Server server;
  server.transaction("MAIL FROM:<a@b.test> SIZE=100 RET=HDRS ENVID=x+2By\r\n");
  EXPECT_THAT(server.say("DATA\r\n"), StartsWith("354 "));
  const std::string reply = server.say("Subject: s\r\n\r\nbody\r\n.\r\n");
  ASSERT_EQ(server.queue.commits.size(), 1u);
  const Committed& message = server.queue.commits.front();
  EXPECT_EQ(reply, "250 2.0.0 Queued as " + message.id.toString() + "\r\n");
  EXPECT_EQ(server.content(), "Subject: s\r\n\r\nbody\r\n");
  EXPECT_EQ(server.queue.expected, 100u);
  EXPECT_EQ(message.envelope.reverse_path, "a@b.test");
  EXPECT_EQ(message.envelope.ret, queue::Ret::Headers);
  EXPECT_EQ(message.envelope.envid, "x+2By");
  EXPECT_EQ(message.envelope.body, queue::BodyType::SevenBit);
  EXPECT_EQ(message.envelope.receive_connector, "apps");
  EXPECT_EQ(message.envelope.client, "127.0.0.1:4711");
  EXPECT_EQ(message.envelope.content_bytes, message.content.size());
  ASSERT_EQ(message.groups.size(), 1u);
  EXPECT_EQ(message.groups[0].key, "d.test");
  EXPECT_THAT(message.groups[0].recipients, ElementsAre(0));
}

TEST(ServerSession, SaysNothingBeforeTheCommitIsDurable) {
  Server server;
  server.queue.at_once = false;
  server.transaction();
  EXPECT_THAT(server.say("DATA\r\na: b\r\n.\r\nMAIL FROM:<x@y.test>\r\n"), EndsWith("LF>\r\n"));
  EXPECT_EQ(server.log.messages.size(), 0u);
  server.queue.complete();
  const std::string replies = server.stream.take();
  EXPECT_THAT(replies, StartsWith("250 2.0.0 Queued as "));
  EXPECT_THAT(replies, EndsWith("\r\n250 2.1.0 OK\r\n"));
}

TEST(ServerSession, LogsAndCountsWhatItAccepts) {
  Server server;
  server.transaction();
  server.say("DATA\r\na: b\r\n.\r\n");
  ASSERT_EQ(server.log.messages.size(), 1u);
  const MessageEvent& event = server.log.messages[0];
  EXPECT_EQ(event.event, "accepted");
  EXPECT_EQ(event.id, server.queue.commits[0].id.toString());
  EXPECT_EQ(event.sender, "a@b.test");
  EXPECT_EQ(event.recipient, "c@d.test");
  EXPECT_EQ(event.connector, "apps");
  EXPECT_EQ(event.address, "127.0.0.1:4711");
  EXPECT_EQ(event.code, 250);
  EXPECT_EQ(event.size, server.queue.commits[0].content.size());
  EXPECT_EQ(server.metrics.messages.value(), 1u);
  EXPECT_EQ(server.metrics.bytes.value(), event.size);
}

TEST(ServerSession, AnswersOneReadWithOneWrite) {
  Server server;
  const int before = server.stream.flushes;
  server.say(
      "EHLO c\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\na: b\r\n.\r\n"
      "MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\na: b\r\n.\r\n");
  EXPECT_EQ(server.stream.flushes - before, 1);
  EXPECT_EQ(server.queue.commits.size(), 2u);
}

TEST(ServerSession, GroupsRecipientsByQueueKey) {
  Server server;
  server.transaction();
  server.say(
      "RCPT TO:<x@hub.test>\r\nRCPT TO:<y@a.hub.test> NOTIFY=NEVER ORCPT=rfc822;o@o.test\r\n"
      "RCPT TO:<z@D.test>\r\nRCPT TO:<w@b\xc3\xbc.test>\r\nDATA\r\na: b\r\n.\r\n");
  const Committed& message = server.queue.commits.at(0);
  ASSERT_EQ(message.envelope.recipients.size(), 4u);
  EXPECT_EQ(message.envelope.recipients[3].forward_path, "z@D.test");
  EXPECT_TRUE(message.envelope.recipients[2].notify.never);
  EXPECT_EQ(message.envelope.recipients[2].orcpt, "rfc822;o@o.test");
  ASSERT_EQ(message.groups.size(), 2u);
  EXPECT_EQ(message.groups[0].key, "d.test");
  EXPECT_THAT(message.groups[0].recipients, ElementsAre(0, 3));
  EXPECT_EQ(message.groups[1].key, "=hub");
  EXPECT_THAT(message.groups[1].recipients, ElementsAre(1, 2));
}

TEST(ServerSession, RoutesULabelsByTheirALabels) {
  Server server;
  server.say(
      "EHLO c\r\nMAIL FROM:<a@b.test> SMTPUTF8\r\nRCPT TO:<u@b\xc3\xbc"
      "cher.test>\r\n");
  server.say("DATA\r\na: \xc3\xbc\r\n.\r\n");
  const Committed& message = server.queue.commits.at(0);
  EXPECT_EQ(message.groups[0].key, "xn--bcher-kva.test");
  EXPECT_TRUE(message.envelope.smtputf8);
  EXPECT_EQ(message.envelope.body, queue::BodyType::EightBitMime);
  EXPECT_THAT(message.content, HasSubstr(" with UTF8SMTP id "));
}

TEST(ServerSession, KeepsARecipientOnce) {
  Server server;
  server.transaction();
  EXPECT_THAT(server.say("RCPT TO:<c@D.TEST>\r\nRCPT TO:<C@d.test>\r\n"),
              StartsWith("250 2.1.5 OK\r\n250 2.1.5 OK"));
  server.say("DATA\r\na: b\r\n.\r\n");
  EXPECT_EQ(server.queue.commits.at(0).envelope.recipients.size(), 2u);  // local parts have a case
}

TEST(ServerSession, GivesPostmasterItsConfiguredMailbox) {
  Server server({}, "192.0.2.1:4711");
  server.say("EHLO c\r\nMAIL FROM:<>\r\n");
  EXPECT_THAT(server.say("RCPT TO:<Postmaster>\r\n"), StartsWith("250 2.1.5"));
  server.say("DATA\r\na: b\r\n.\r\n");
  EXPECT_EQ(server.queue.commits.at(0).envelope.recipients[0].forward_path,
            "post.master@admin.test");
}

TEST(ServerSession, SplitsGroupsThatAreTooLarge) {
  ReceiveConfig connector;
  connector.max_recipients = 2500;
  Server server(connector);
  server.transaction();
  for (int i = 0; i < 2000; ++i) server.say("RCPT TO:<r" + std::to_string(i) + "@d.test>\r\n");
  server.say("DATA\r\na: b\r\n.\r\n");
  const Committed& message = server.queue.commits.at(0);
  ASSERT_EQ(message.groups.size(), 3u);
  EXPECT_EQ(message.groups[0].recipients.size(), queue::kMaxGroup);
  EXPECT_EQ(message.groups[2].recipients.size(), 1u);
}

// --- Refusals ------------------------------------------------------------------------------------

TEST(ServerSession, RelaysForNobodyOutsideItsNetworks) {
  using namespace std::string_literals;
  const std::string paths[] = {"<u@d.test>",
                               "<u@relay.test>",
                               "<u%d.test@relay.test>",
                               "<u%d.test@[127.0.0.1]>",
                               "<u%d.test@relay>",
                               "<d.test!u@relay.test>",
                               "<d.test!u>",
                               "<\"u@d.test\">",
                               "<\"u@d.test\"@relay.test>",
                               "<u@d.test@relay.test>",
                               "<@relay.test:u@d.test>",
                               "<@relay.test,@x.test:u@d.test>",
                               "<u@d.test.>",
                               "<u@[192.0.2.7]>",
                               "<u@[d.test]>",
                               "<u@[IPv6:::1]>",
                               "<U@D.TEST>",
                               "<u@d.test >",
                               "<\tu@d.test>",
                               "<u@d.test\t>",
                               "<u@d\0.test>"s,
                               "<u@\xff.test>",
                               "<\xff@d.test>",
                               "u@d.test",
                               "<u@d.test",
                               "<>",
                               "<u>",
                               "<@d.test>",
                               "<root@localhost>",
                               "<u@127.0.0.1>",
                               "<u@2130706433>",
                               "<\"u\\@d.test\"@relay.test>",
                               "<u%d.test%relay.test@relay.test>",
                               "<postmaster@d.test>",
                               "<=?utf-8?q?u=40d.test=3e?=@relay.test>"};
  for (const std::string& path : paths) {
    for (const std::string mail : {"<a@b.test>", "<>", "<a@relay.test>"}) {
      Server server({}, "192.0.2.1:4711");
      server.say("EHLO c\r\nMAIL FROM:" + mail + "\r\n");
      const std::string reply = server.say("RCPT TO:" + path + "\r\n");
      EXPECT_EQ(reply[0], '5') << path << ": " << reply;
      server.say("DATA\r\n");
      EXPECT_TRUE(server.queue.commits.empty());
    }
  }
  Server server({}, "192.0.2.1:4711");
  server.say("EHLO c\r\nMAIL FROM:<a@b.test>\r\n");
  EXPECT_EQ(server.say("RCPT TO:<u@d.test>\r\n"), "550 5.7.1 Relaying denied\r\n");
  ASSERT_EQ(server.log.messages.size(), 1u);
  EXPECT_EQ(server.log.messages[0].event, "refused");
  EXPECT_EQ(server.log.messages[0].status, "5.7.1");
  EXPECT_EQ(server.log.messages[0].recipient, "u@d.test");
}

TEST(ServerSession, RefusesRecipientsThatNoConnectorTakes) {
  Server server;
  server.transaction();
  EXPECT_THAT(server.say("RCPT TO:<u@example.com>\r\n"), StartsWith("550 5.4.4 "));
  EXPECT_THAT(server.say("RCPT TO:<u@[127.0.0.1]>\r\n"), StartsWith("550 5.4.4 "));
  EXPECT_THAT(server.say("DATA\r\n"), StartsWith("354"));
}

TEST(ServerSession, TakesNoMailWithoutRoomOrStore) {
  Server server;
  server.say("EHLO c\r\n");
  server.queue.may_accept = fail(Errc::NoSpace, "disk reserve");
  EXPECT_THAT(server.say("MAIL FROM:<a@b.test>\r\n"), StartsWith("452 4.3.1 "));
  server.queue.may_accept = fail(Errc::Io, "log failed");
  EXPECT_THAT(server.say("MAIL FROM:<a@b.test>\r\n"), StartsWith("451 4.3.0 "));
  server.queue.may_accept = {};
  EXPECT_THAT(server.say("MAIL FROM:<a@b.test>\r\n"), StartsWith("250 2.1.0 "));
}

TEST(ServerSession, AnswersAFailedCommitWithATemporaryFailure) {
  const std::pair<Errc, std::string> rows[] = {
      {Errc::Io, "451 4.3.0 "}, {Errc::Timeout, "451 4.3.0 "}, {Errc::NoSpace, "452 4.3.1 "}};
  for (const auto& [error, reply] : rows) {
    Server server;
    server.queue.at_once = false;
    server.transaction();
    server.say("DATA\r\na: b\r\n.\r\n");
    server.queue.complete(fail(error, "why"));
    EXPECT_THAT(server.stream.take(), StartsWith(reply));
    ASSERT_EQ(server.log.messages.size(), 1u);
    EXPECT_EQ(server.log.messages[0].event, "refused");
    EXPECT_EQ(server.metrics.messages.value(), 0u);
    EXPECT_THAT(server.say("MAIL FROM:<a@b.test>\r\n"), StartsWith("250"));
  }
}

TEST(ServerSession, LetsGoOfContentThatIsRefused) {
  Server server;
  server.transaction();
  server.say("DATA\r\na: b\r\n");
  EXPECT_EQ(server.queue.incomings, 1);
  server.say(std::string_view("\0", 1));
  EXPECT_EQ(server.queue.incomings, 0);
  EXPECT_THAT(server.say("\r\n.\r\n"), StartsWith("554 5.6.0 "));
  EXPECT_TRUE(server.queue.commits.empty());
  EXPECT_EQ(server.log.messages.at(0).recipient, "c@d.test");
}

TEST(ServerSession, RefusesAllMailWhereAuthenticationCannotBeHad) {
  ReceiveConfig connector;
  connector.auth = ReceiveAuth::Required;
  Server server(connector);
  server.say("EHLO c\r\n");
  EXPECT_THAT(server.say("MAIL FROM:<a@b.test>\r\n"), StartsWith("530 5.7.0 "));
}

// --- Content -------------------------------------------------------------------------------------

TEST(ServerSession, PutsItsReceivedFieldInFront) {
  Server server;
  server.transaction();
  server.say("DATA\r\na: b\r\n.\r\n");
  const Committed& message = server.queue.commits.at(0);
  EXPECT_THAT(
      message.content,
      StartsWith("Received: from client.test ([127.0.0.1])\r\n\tby relay.test with ESMTP id " +
                 message.id.toString() + "\r\n\tfor <c@d.test>; "));
}

TEST(ServerSession, NamesNoRecipientAmongSeveral) {
  Server server;
  server.transaction();
  server.say("RCPT TO:<secret@d.test>\r\nDATA\r\na: b\r\n.\r\n");
  EXPECT_THAT(server.queue.commits.at(0).content, testing::Not(HasSubstr("for <")));
}

TEST(ServerSession, CleansTheClientsName) {
  Server server;
  server.say("EHLO x) by evil; ${run}\xff(\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\n");
  server.say("DATA\r\na: b\r\n.\r\n");
  EXPECT_THAT(server.queue.commits.at(0).content,
              StartsWith("Received: from x??by?evil???\?run??? ([127.0.0.1])\r\n"));
}

TEST(ServerSession, SetsBodyWithoutHeaderApart) {
  for (const std::string body : {"no field\r\n", " folded\r\n", "\tx: y\r\n", "\rx: y\r\n"}) {
    Server server;
    server.transaction();
    server.say("DATA\r\n" + body + ".\r\n");
    EXPECT_THAT(server.content(), StartsWith("\r\n")) << body;
  }
  Server server;
  server.transaction();
  server.say("DATA\r\n\r\nbody\r\n.\r\n");
  EXPECT_EQ(server.content(), "\r\nbody\r\n");
}

TEST(ServerSession, AddsMissingHeadersWhereAskedTo) {
  ReceiveConfig connector;
  connector.add_missing_headers = true;
  Server server(connector);
  server.transaction();
  server.say("DATA\r\nSubject: s\r\n\r\nbody\r\n.\r\n");
  const std::string id = server.queue.commits.at(0).id.toString();
  EXPECT_THAT(server.content(), StartsWith("Subject: s\r\nDate: "));
  EXPECT_THAT(server.content(),
              EndsWith("\r\nMessage-ID: <" + id + "@relay.test>\r\n\r\nbody\r\n"));
  server.say("MAIL FROM:<>\r\nRCPT TO:<c@d.test>\r\nDATA\r\nDate: d\r\nMessage-Id: m\r\n.\r\n");
  EXPECT_EQ(server.content(1), "Date: d\r\nMessage-Id: m\r\n");
  server.say("MAIL FROM:<>\r\nRCPT TO:<c@d.test>\r\nBDAT 4 LAST\r\na: b");
  EXPECT_THAT(server.content(2), StartsWith("a: b\r\nDate: "));
  server.say("MAIL FROM:<>\r\nRCPT TO:<c@d.test>\r\nDATA\r\nno header\r\n.\r\n");
  EXPECT_THAT(server.content(3), StartsWith("Date: "));
  EXPECT_THAT(server.content(3), EndsWith(">\r\n\r\nno header\r\n"));
}

TEST(ServerSession, AddsNothingElseByDefault) {
  Server server;
  server.transaction();
  server.say("DATA\r\nSubject: s\r\n\r\nb\r\n.\r\n");
  EXPECT_EQ(server.content(), "Subject: s\r\n\r\nb\r\n");
}

// --- Back-pressure -------------------------------------------------------------------------------

TEST(ServerSession, StopsReadingWhileTheQueueIsCongested) {
  Server server;
  server.transaction();
  server.queue.congested = true;
  server.say("DATA\r\na: b\r\n");
  EXPECT_TRUE(server.stream.paused);
  server.queue.congested = false;
  server.queue.incoming->relieved();
  EXPECT_FALSE(server.stream.paused);
  EXPECT_THAT(server.say(".\r\n"), StartsWith("250 2.0.0"));
}

TEST(ServerSession, StopsReadingWhenMuchWaitsForAnAnswer) {
  Server server;
  server.queue.at_once = false;
  server.transaction();
  server.say("DATA\r\na: b\r\n.\r\nNOOP\r\n");
  EXPECT_FALSE(server.stream.paused);
  std::string noops;
  for (int i = 0; i < 4000; ++i) noops += "NOOP\r\n";
  server.say(noops);
  EXPECT_TRUE(server.stream.paused);
  server.queue.complete();
  EXPECT_FALSE(server.stream.paused);
  EXPECT_EQ(server.stream.take().size(),
            4001 * strlen("250 2.0.0 OK\r\n") + strlen("250 2.0.0 Queued as \r\n") + 26);
}

TEST(ServerSession, StopsReadingFromAClientThatReadsNoReplies) {
  Server server;
  server.stream.unsent_bytes = net::TcpStream::kLowWaterBytes + 1;
  server.say("NOOP\r\n");
  EXPECT_TRUE(server.stream.paused);
  server.stream.unsent_bytes = 0;
  server.stream.handler->onDrained();
  EXPECT_FALSE(server.stream.paused);
}

// --- Clients that leave --------------------------------------------------------------------------

TEST(ServerSession, CommitsForAClientThatIsGoneBehindItsDot) {
  Server server;
  server.queue.at_once = false;
  server.transaction();
  server.say("DATA\r\na: b\r\n.\r\n");
  server.stream.end(Errc::Reset);
  EXPECT_EQ(server.overs, 0);
  server.queue.complete();
  EXPECT_EQ(server.overs, 1);
  ASSERT_EQ(server.log.messages.size(), 1u);
  EXPECT_EQ(server.log.messages[0].event, "accepted");
  EXPECT_THAT(server.log.messages[0].reply, HasSubstr("gone"));
  EXPECT_EQ(server.metrics.client_gone.value(), 1u);
}

TEST(ServerSession, AnswersAllContentsThatArePipelinedWhateverTheirOrder) {
  Server server;
  server.queue.at_once = false;
  const std::string one = "MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nBDAT 6 LAST\r\na: b\r\n";
  server.say("EHLO c.test\r\n");
  EXPECT_THAT(server.say(one + one + one), EndsWith("250 2.1.5 OK\r\n"));
  ASSERT_EQ(server.queue.commits.size(), 3u);
  const auto complete = [&](size_t i, Result<void> result) {
    auto done = std::move(server.queue.commits[i].done);
    done(std::move(result));
  };
  complete(1, {});
  EXPECT_EQ(server.stream.take(), "");
  complete(0, fail(Errc::Io, "disk"));
  EXPECT_THAT(server.stream.take(), StartsWith("451 4.3.0 "));
  EXPECT_TRUE(server.session->committing());
  server.stream.end(Errc::Reset);
  EXPECT_EQ(server.overs, 0);
  complete(2, {});
  EXPECT_EQ(server.overs, 1);
  EXPECT_EQ(server.log.messages.size(), 3u);
}

TEST(ServerSession, AnswersWhatIsBeingMadeDurableWhenItIsCutOff) {
  Server server;
  server.queue.at_once = false;
  server.transaction();
  server.say("BDAT 6 LAST\r\na: b\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n");
  server.session->cut();
  EXPECT_EQ(server.overs, 0);
  server.queue.complete();
  EXPECT_THAT(server.stream.take(), EndsWith("421 4.3.2 Shutting down, try again later\r\n"));
  EXPECT_TRUE(server.stream.finished);
  EXPECT_EQ(server.overs, 1);
}

TEST(ServerSession, AnswersAClientThatHasClosedItsSideBehindItsDot) {
  Server server;
  server.queue.at_once = false;
  server.transaction();
  server.say("DATA\r\na: b\r\n.\r\n");
  server.stream.finishPeer();
  EXPECT_EQ(server.overs, 0);
  server.queue.complete();
  EXPECT_THAT(server.stream.take(), StartsWith("250 2.0.0 Queued as "));
  EXPECT_TRUE(server.stream.finished);
  EXPECT_EQ(server.overs, 1);
  EXPECT_EQ(server.metrics.client_gone.value(), 0u);
}

TEST(ServerSession, CarriesOutAllThatCameBeforeTheClientClosedItsSide) {
  Server server;
  server.queue.at_once = false;
  server.say(
      "EHLO c.test\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nBDAT 4 LAST\r\na\r\n\n"
      "MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nBDAT 3 LAST\r\nb\r\nNOOP\r\nNOO");
  server.stream.finishPeer();
  ASSERT_EQ(server.queue.commits.size(), 2u);
  server.queue.complete();
  EXPECT_FALSE(server.stream.finished);
  server.queue.complete();
  EXPECT_THAT(server.stream.take(), EndsWith("\r\n250 2.0.0 OK\r\n"));
  EXPECT_TRUE(server.stream.finished);
}

TEST(ServerSession, QueuesNothingOfAContentThatTheClientClosedItsSideIn) {
  Server server;
  server.transaction();
  server.say("DATA\r\na: b\r\n.\r");
  server.stream.finishPeer();
  EXPECT_TRUE(server.stream.finished);
  EXPECT_EQ(server.overs, 1);
  EXPECT_EQ(server.queue.incomings, 0);
  EXPECT_TRUE(server.queue.commits.empty());
}

TEST(ServerSession, QueuesNothingOfAContentThatIsCutOff) {
  for (const std::string content : {"DATA\r\na: b\r\n.\r", "BDAT 100 LAST\r\na: b\r\n"}) {
    Server server;
    server.transaction();
    server.say(content);
    EXPECT_EQ(server.queue.incomings, 1);
    server.stream.end();
    EXPECT_EQ(server.overs, 1);
    EXPECT_EQ(server.queue.incomings, 0);
    EXPECT_TRUE(server.queue.commits.empty());
  }
}

TEST(ServerSession, ForgetsACommitWhenItIsDestroyedFirst) {
  Server server;
  server.queue.at_once = false;
  server.transaction();
  server.say("DATA\r\na: b\r\n.\r\n");
  server.session.reset();
  server.queue.complete();
  EXPECT_TRUE(server.log.messages.empty());
}

TEST(ServerSession, EndsAtQuit) {
  Server server;
  EXPECT_EQ(server.say("QUIT\r\n"), "221 2.0.0 Bye\r\n");
  EXPECT_TRUE(server.stream.finished);
  EXPECT_EQ(server.overs, 1);
}

// --- Slow clients --------------------------------------------------------------------------------

ReceiveConfig quick(milliseconds command, milliseconds data = milliseconds(60'000)) {
  ReceiveConfig connector;
  connector.command_timeout = command;
  connector.data_timeout = data;
  return connector;
}

TEST(SlowClient, IsCutWhenItSaysNothing) {
  Server server(quick(milliseconds(40)));
  ASSERT_TRUE(turnUntil(*server.loop, [&] { return server.stream.finished; }));
  EXPECT_THAT(server.stream.take(), StartsWith("421 4.4.2 "));
  EXPECT_EQ(server.metrics.timeouts.value(), 1u);
}

TEST(SlowClient, IsCutThoughItTricklesACommand) {
  Server server(quick(milliseconds(60)));
  ASSERT_TRUE(turnUntil(*server.loop, [&] {
    server.stream.receive("x");
    return server.stream.finished;
  }));
}

TEST(SlowClient, IsCutThoughItTricklesContent) {
  Server server(quick(milliseconds(60)));
  server.transaction();
  server.say("DATA\r\na: b\r\n");
  size_t fed = 0;
  const auto begun = std::chrono::steady_clock::now();
  ASSERT_TRUE(turnUntil(*server.loop, [&] {
    // 200 bytes a second.
    const auto elapsed = std::chrono::steady_clock::now() - begun;
    if (elapsed > fed * milliseconds(5)) server.stream.receive("x"), ++fed;
    return server.stream.finished;
  }));
  EXPECT_TRUE(server.queue.commits.empty());
  EXPECT_EQ(server.queue.incomings, 0);
}

TEST(SlowClient, IsCutWhenContentTakesTooLongInAll) {
  Server server(quick(milliseconds(60'000), milliseconds(60)));
  server.transaction();
  ASSERT_TRUE(turnUntil(*server.loop, [&] {
    server.stream.receive("BDAT 1\r\nx");
    return server.stream.finished;
  }));
}

TEST(SlowClient, IsNotCutWhileItDoesAllItShould) {
  Server server(quick(milliseconds(100)));
  const auto begun = std::chrono::steady_clock::now();
  ASSERT_TRUE(turnUntil(*server.loop, [&] {
    server.stream.receive("NOOP\r\n");
    return std::chrono::steady_clock::now() - begun > milliseconds(300);
  }));
  EXPECT_TRUE(server.stream.open());
}

TEST(SlowClient, IsNotBlamedForOurOwnWaits) {
  Server server(quick(milliseconds(40), milliseconds(80)));
  server.queue.at_once = false;
  server.transaction();
  server.queue.congested = true;
  server.say("DATA\r\na: b\r\n");
  auto begun = std::chrono::steady_clock::now();
  turnUntil(*server.loop,
            [&] { return std::chrono::steady_clock::now() - begun > milliseconds(200); });
  EXPECT_TRUE(server.stream.open());
  server.queue.congested = false;
  server.queue.incoming->relieved();
  server.say(".\r\n");
  begun = std::chrono::steady_clock::now();
  turnUntil(*server.loop,
            [&] { return std::chrono::steady_clock::now() - begun > milliseconds(200); });
  EXPECT_TRUE(server.stream.open());
  server.queue.complete();
  EXPECT_THAT(server.stream.take(), StartsWith("250 2.0.0 "));
}

}  // namespace
}  // namespace sluice::relay
