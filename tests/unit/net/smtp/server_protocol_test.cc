#include "net/smtp/server_protocol.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace sluice::smtp {
namespace {

using namespace std::string_literals;
using testing::ElementsAre;
using testing::HasSubstr;

// A session's owner that takes everything at once, and remembers it.
class Peer : public ServerEvents {
 public:
  explicit Peer(ServerSettings given = {}) : settings(std::move(given)), protocol(settings, *this) {
    settings.hostname = "relay.test";
    protocol.greet();
    read();
  }

  // Feeds, and gives the replies.
  std::string say(std::string_view bytes) {
    protocol.feed(bytes);
    return read();
  }
  // The same byte by byte, each in memory of its own.
  std::string sayByteByByte(std::string_view bytes) {
    for (const char c : bytes) protocol.feed(std::string(1, c));
    return read();
  }
  // Codes of the replies, "-" lines left out: "250 354 250".
  std::string codes(std::string_view bytes) { return codesOf(say(bytes)); }
  static std::string codesOf(const std::string& replies) {
    std::string out;
    for (size_t at = 0; at < replies.size(); at = replies.find('\n', at) + 1) {
      if (replies[at + 3] == '-') continue;
      if (!out.empty()) out += ' ';
      out += replies.substr(at, 3);
    }
    return out;
  }
  std::string read() {
    std::string out;
    while (true) {
      out += protocol.output();
      const bool more = protocol.hasMore();
      protocol.outputTaken();
      if (!more) return out;
      protocol.resume();
    }
  }
  void hello() { ASSERT_EQ(codes("EHLO client.test\r\n"), "250"); }
  void transaction() {
    hello();
    ASSERT_EQ(codes("MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\n"), "250 250");
  }
  bool closing() const { return protocol.phase() == ServerProtocol::Phase::Closing; }

  void onHello(std::string_view name, bool) override { hello_name = name; }
  void onMail(const MailCommand& mail) override {
    reverse_path = mail.reverse_path.mailbox;
    answer({250, {2, 1, 0}, "OK"});
  }
  void onRcpt(const RcptCommand& rcpt) override {
    const std::string path(rcpt.forward_path.mailbox);
    if (rcpt.forward_path.local_part == "bad") return answer({550, {5, 7, 1}, "No"});
    recipients.push_back(path);
    answer({250, {2, 1, 5}, "OK"});
  }
  void onContentBegin() override { content.clear(); }
  void onContent(std::string_view clean) override { content.append(clean); }
  void onHeaderEnd(const ContentFindings&) override {}
  void onContentDropped() override { content = "(dropped)"; }
  void onContentEnd(uint64_t ticket, const ContentFindings&) override {
    messages.push_back(content);
    tickets.push_back(ticket);
    if (!asked_later && !asks_later_of_contents) answerContent(ticket);
  }
  void answerContent(uint64_t ticket) {
    protocol.replyToContent(ticket, {250, {2, 0, 0}, "Queued as 1"});
  }
  void onTransactionEnd() override {
    content.clear();
    ++transactions_ended;
  }
  void onRefused(Verb, std::string_view, const ServerReply& reply) override {
    refused.push_back(std::to_string(reply.code) + " " + reply.status.toString());
  }
  void onBareNewlineCommand() override { ++bare_newlines; }
  void onStartTls() override { ++tls_upgrades; }
  void onAuth(const AuthCommand& auth) override {
    mechanism = auth.mechanism;
    protocol.challenge("");
  }
  void onAuthResponse(std::string_view response) override {
    answer(response == "good" ? ServerReply{235, {2, 7, 0}, "OK"}
                              : ServerReply{535, {5, 7, 8}, "No"});
  }
  void answer(const ServerReply& reply) {
    if (asked_later) return;
    protocol.reply(reply);
  }

  ServerSettings settings;
  ServerProtocol protocol;
  bool asked_later = false;  // the owner answers when the test says so
  bool asks_later_of_contents = false;
  std::string hello_name, reverse_path, content, mechanism;
  std::vector<std::string> recipients, messages, refused;
  std::vector<uint64_t> tickets;
  int transactions_ended = 0, bare_newlines = 0, tls_upgrades = 0;
};

const std::string kSession =
    "EHLO client.test\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n"
    "Subject: one\r\n\r\n..dot\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<e@f.test>\r\nRCPT "
    "TO:<bad@f.test>\r\n"
    "DATA\r\nSubject: two\r\n\r\nMAIL FROM:<x@y.test>\r\n.\r\nQUIT\r\n";

void expectSession(const Peer& peer, const std::string& replies) {
  EXPECT_EQ(Peer::codesOf(replies), "250 250 250 354 250 250 250 550 354 250 221");
  EXPECT_THAT(peer.messages, ElementsAre("Subject: one\r\n\r\n.dot\r\n",
                                         "Subject: two\r\n\r\nMAIL FROM:<x@y.test>\r\n"));
  EXPECT_THAT(peer.recipients, ElementsAre("c@d.test", "e@f.test"));
  EXPECT_TRUE(peer.closing());
}

TEST(ServerProtocol, GreetsAndOffersItsExtensions) {
  ServerSettings settings;
  Peer peer(settings);
  EXPECT_THAT(peer.say("EHLO client.test\r\n"), HasSubstr("250-relay.test\r\n250-PIPELINING\r\n"));
  EXPECT_EQ(peer.hello_name, "client.test");
  EXPECT_EQ(peer.say("HELO client.test\r\n"), "250 relay.test\r\n");
}

TEST(ServerProtocol, AnswersAWholeSessionInOneSegment) {
  Peer peer;
  const std::string replies = peer.say(kSession);
  expectSession(peer, replies);
}

TEST(ServerProtocol, AnswersTheSameInAnyTwoSegments) {
  for (size_t cut = 0; cut <= kSession.size(); ++cut) {
    Peer peer;
    std::string replies = peer.say(kSession.substr(0, cut));
    replies += peer.say(kSession.substr(cut));
    expectSession(peer, replies);
    if (testing::Test::HasFailure()) FAIL() << "cut at " << cut;
  }
}

TEST(ServerProtocol, AnswersTheSameByteByByte) {
  Peer peer;
  expectSession(peer, peer.sayByteByByte(kSession));
}

TEST(ServerProtocol, ConsumesNothingWhileItsOwnerHasToAnswer) {
  Peer peer;
  peer.transaction();
  peer.asked_later = true;
  EXPECT_EQ(peer.codes("RSET\r\nMAIL FROM:<z@b.test>\r\nRCPT TO:<x@d.test>\r\nNOOP\r\n"), "250");
  EXPECT_EQ(peer.protocol.phase(), ServerProtocol::Phase::Answering);
  EXPECT_EQ(peer.codes("NOOP\r\n"), "");
  EXPECT_EQ(peer.reverse_path, "z@b.test");
  EXPECT_THAT(peer.recipients, ElementsAre("c@d.test"));
  peer.protocol.reply({250, {2, 1, 0}, "OK"});
  EXPECT_EQ(Peer::codesOf(peer.read()), "250");
  EXPECT_THAT(peer.recipients, ElementsAre("c@d.test", "x@d.test"));
  peer.protocol.reply({250, {2, 1, 5}, "OK"});
  EXPECT_EQ(Peer::codesOf(peer.read()), "250 250 250");
}

// --- Transactions behind a content that is being made durable ------------------------------------

const std::string kChunked =
    "MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nBDAT 6 LAST\r\na: b\r\n";

TEST(PipelinedContents, AreTakenInWhileTheFirstIsMadeDurable) {
  Peer peer;
  peer.hello();
  peer.asks_later_of_contents = true;
  EXPECT_EQ(peer.codes(kChunked + kChunked + kChunked + "NOOP\r\n"), "250 250");
  EXPECT_EQ(peer.messages.size(), 3u);
  EXPECT_TRUE(peer.protocol.owesReplies());
  peer.answerContent(peer.tickets[0]);
  EXPECT_EQ(Peer::codesOf(peer.read()), "250 250 250");
  peer.answerContent(peer.tickets[1]);
  peer.answerContent(peer.tickets[2]);
  EXPECT_EQ(Peer::codesOf(peer.read()), "250 250 250 250 250");
  EXPECT_FALSE(peer.protocol.owesReplies());
}

TEST(PipelinedContents, AreAnsweredInTheirOrderWhicheverIsReadyFirst) {
  Peer peer;
  peer.hello();
  peer.asks_later_of_contents = true;
  peer.say(kChunked + kChunked + "MAIL FROM:<>\r\n");
  peer.protocol.replyToContent(peer.tickets[1], {250, {2, 0, 0}, "Queued as 2"});
  EXPECT_EQ(peer.read(), "");
  peer.protocol.replyToContent(peer.tickets[0], {451, {4, 3, 0}, "Not stored"});
  EXPECT_EQ(peer.read(),
            "451 4.3.0 Not stored\r\n250 2.1.0 OK\r\n250 2.1.5 OK\r\n250 2.0.0 Queued as 2\r\n"
            "250 2.1.0 OK\r\n");
}

TEST(PipelinedContents, KeepTheReplyToDataBehindTheContentBefore) {
  Peer peer;
  peer.hello();
  peer.asks_later_of_contents = true;
  peer.say(kChunked + "MAIL FROM:<>\r\nRCPT TO:<e@f.test>\r\nDATA\r\n");
  EXPECT_EQ(peer.read(), "");
  EXPECT_EQ(peer.protocol.phase(), ServerProtocol::Phase::Content);
  peer.answerContent(peer.tickets[0]);
  EXPECT_EQ(Peer::codesOf(peer.read()), "250 250 250 354");
}

TEST(PipelinedContents, LetNothingOvertakeThatChangesTheSession) {
  for (const std::string command :
       {"EHLO again.test\r\n", "STARTTLS\r\n", "AUTH PLAIN\r\n", "HELP\r\n", "nonsense\r\n"}) {
    Peer peer({.starttls = true, .auth = AuthOffer::Always});
    peer.hello();
    peer.asks_later_of_contents = true;
    peer.say(kChunked + command);
    EXPECT_EQ(peer.protocol.phase(), ServerProtocol::Phase::Answering) << command;
    EXPECT_EQ(peer.tls_upgrades, 0);
    peer.answerContent(peer.tickets[0]);
    const std::string replies = peer.read();
    EXPECT_EQ(replies.substr(0, 22), "250 2.0.0 Queued as 1\r") << command;
    EXPECT_GT(replies.size(), 23u) << command;
  }
}

TEST(PipelinedContents, EndAtQuitBehindTheLastReply) {
  Peer peer;
  peer.hello();
  peer.asks_later_of_contents = true;
  peer.say(kChunked + "QUIT\r\nMAIL FROM:<>\r\n");
  EXPECT_FALSE(peer.closing());
  peer.answerContent(peer.tickets[0]);
  EXPECT_EQ(peer.read(), "250 2.0.0 Queued as 1\r\n221 2.0.0 Bye\r\n");
  EXPECT_TRUE(peer.closing());
}

TEST(PipelinedContents, AreBounded) {
  Peer peer;
  peer.hello();
  peer.asks_later_of_contents = true;
  for (int i = 0; i < 40; ++i) peer.say(kChunked);
  EXPECT_EQ(peer.messages.size(), 32u);
  EXPECT_EQ(peer.protocol.phase(), ServerProtocol::Phase::Answering);
  for (size_t i = 0; i < 40; ++i) peer.answerContent(peer.tickets[i]);
  EXPECT_EQ(peer.messages.size(), 40u);
  EXPECT_EQ(Peer::codesOf(peer.read()).size(), 4 * 3 * 40u - 1 - 8);
}

TEST(ServerProtocol, WantsCommandsInTheirOrder) {
  Peer peer;
  EXPECT_EQ(peer.say("MAIL FROM:<a@b.test>\r\n").substr(0, 9), "503 5.5.1");
  EXPECT_EQ(peer.codes("RCPT TO:<c@d.test>\r\nDATA\r\n"), "503 503");
  peer.hello();
  EXPECT_EQ(peer.codes("RCPT TO:<c@d.test>\r\n"), "503");
  EXPECT_EQ(peer.codes("MAIL FROM:<a@b.test>\r\nMAIL FROM:<a@b.test>\r\nDATA\r\n"), "250 503 503");
  EXPECT_EQ(peer.codes("RSET\r\nRCPT TO:<c@d.test>\r\n"), "250 503");
  EXPECT_EQ(peer.transactions_ended, 1);
}

TEST(ServerProtocol, ForgetsATransactionAtRsetAndEhlo) {
  Peer peer;
  peer.transaction();
  EXPECT_EQ(peer.codes("EHLO again.test\r\nDATA\r\n"), "250 503");
  EXPECT_EQ(peer.transactions_ended, 1);
  EXPECT_EQ(peer.codes("MAIL FROM:<a@b.test>\r\nRSET\r\nRSET\r\n"), "250 250 250");
  EXPECT_EQ(peer.transactions_ended, 2);
}

TEST(ServerProtocol, RefusesDataWhenEveryRecipientWasRefused) {
  Peer peer;
  peer.hello();
  EXPECT_EQ(peer.codes("MAIL FROM:<a@b.test>\r\nRCPT TO:<bad@d.test>\r\nDATA\r\n"), "250 550 554");
  EXPECT_EQ(peer.codes("RSET\r\n"), "250");
}

TEST(ServerProtocol, AnswersTheSmallCommands) {
  Peer peer;
  EXPECT_EQ(peer.say("NOOP x y\r\n"), "250 2.0.0 OK\r\n");
  EXPECT_EQ(peer.codes("VRFY root\r\nVRFY nobody\r\nHELP\r\nHELP MAIL\r\n"), "252 252 214 214");
  EXPECT_EQ(peer.codes("EXPN x\r\nETRN x\r\nTURN\r\nWIZ\r\nDEBUG\r\n"), "502 502 502 502 502");
  EXPECT_EQ(peer.codes("DATA x\r\n"), "501");
  EXPECT_EQ(peer.codes("RSET x\r\nFOO\r\n\r\nEHLO\r\n"), "501 500 500 501");
  EXPECT_EQ(peer.codes("STARTTLS\r\nAUTH PLAIN\r\nXCLIENT ADDR=1\r\n"), "502 502 550");
  EXPECT_EQ(peer.say("QUIT\r\nNOOP\r\n"), "221 2.0.0 Bye\r\n");
}

TEST(ServerProtocol, GivesEveryRefusalAnEnhancedStatusCode) {
  for (const std::string line :
       {"FOO", "MAIL", "EHLO", "RCPT TO:<x>", "DATA", "BDAT x", "EXPN a", "AUTH X", "STARTTLS",
        "RSET x", "QUIT x", "NOOP\x01", "GET /", "VRFY"}) {
    Peer peer;
    const std::string reply = peer.say(line + "\r\n");
    EXPECT_TRUE(parseStatusCode(reply.substr(4, 5))) << line << ": " << reply;
    EXPECT_EQ(reply[0], reply[4]) << reply;
  }
}

TEST(ServerProtocol, EndsADialogueWithOtherProtocols) {
  for (const std::string line : {"GET / HTTP/1.1\r\n", "POST / HTTP/1.1\r\n", "CONNECT a:25\r\n",
                                 "\x16\x03\x01\x02\x00\x01"}) {
    Peer peer;
    EXPECT_EQ(peer.codes(line + "Host: x\r\n\r\nMAIL FROM:<a@b.test>\r\n"), "421");
    EXPECT_TRUE(peer.closing());
  }
}

TEST(ServerProtocol, RefusesEarlyTalkers) {
  ServerSettings settings{.hostname = "relay.test"};
  Peer owner;
  ServerProtocol protocol(settings, owner);
  protocol.feed("EHLO early\r\n");
  EXPECT_EQ(protocol.output().substr(0, 9), "554 5.5.0");
  protocol.greet();
  EXPECT_EQ(protocol.phase(), ServerProtocol::Phase::Closing);
}

TEST(ServerProtocol, TakesAnyHelloName) {
  for (const std::string name : {"a;b", "%n%s", "${run}", "[1.2.3.4]", "\xff\xfe", "a b c"}) {
    Peer peer;
    EXPECT_EQ(peer.codes("EHLO " + name + "\r\n"), "250");
    EXPECT_EQ(peer.hello_name, name);
  }
  for (const std::string& name : {"a\0b"s, "a\rb"s, "a\x1b[31m"s, std::string(12'000, 'h')}) {
    Peer peer;
    EXPECT_EQ(peer.codes("EHLO " + name + "\r\nNOOP\r\n"), "501 250");
  }
}

// Whatever comes, in whatever segments: the same replies and the same messages.
TEST(ServerProtocol, IsIndifferentToSegmentation) {
  const std::vector<std::string> words = {"EHLO c\r\n",
                                          "HELO c\r\n",
                                          "MAIL FROM:<a@b.test>\r\n",
                                          "MAIL FROM:<a@b.test> SIZE=9\r\n",
                                          "RCPT TO:<c@d.test>\r\n",
                                          "RCPT TO:<bad@d.test>\r\n",
                                          "DATA\r\n",
                                          "DATA\n",
                                          "BDAT 3\r\nabc",
                                          "BDAT 0 LAST\r\n",
                                          "BDAT 4 LAST\r\n\r\n.\n",
                                          "BDAT 3\r\n\0bc"s,
                                          "BDAT x\r\n",
                                          ".\r\n",
                                          "\n.\n",
                                          "\r\n.\r\n",
                                          "\r",
                                          "\n",
                                          "Subject: s\r\n",
                                          "RSET\r\n",
                                          "NOOP\n",
                                          "QUIT\r\n",
                                          "STARTTLS\r\n",
                                          std::string(600, 'x'),
                                          "VRFY\r\n",
                                          "\0"s,
                                          "..\r\n",
                                          "EXPN a\r\n"};
  uint32_t random = 20261124;
  const auto next = [&random](size_t below) {
    random = random * 1664525 + 1013904223;
    return (random >> 8) % below;
  };
  for (int round = 0; round < 3000; ++round) {
    std::string input =
        next(4) == 0 ? "" : "EHLO c\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\n";
    for (size_t i = next(20); i > 0; --i) input += words[next(words.size())];
    const ServerSettings settings{.max_errors = 8, .reject_bare_newlines = next(2) == 0};
    Peer bytewise(settings);
    const std::string expected = bytewise.sayByteByByte(input);
    Peer pieces(settings);
    std::string replies;
    for (size_t at = 0; at < input.size();) {
      const size_t length = 1 + next(40);
      replies += pieces.say(input.substr(at, length));
      at += length;
    }
    // Content behind a refused DATA is seen as such sooner when it comes together with it.
    if (replies.find("sent before 354") == replies.npos) {
      ASSERT_EQ(replies, expected) << testing::PrintToString(input);
      ASSERT_EQ(pieces.messages, bytewise.messages) << testing::PrintToString(input);
    }
  }
}

// --- Line ends and lengths -----------------------------------------------------------------------

TEST(CommandLine, LongerThanItMayBeIsRefusedWhole) {
  for (const size_t length : {513, 2048, 10'240, 60'000}) {
    const std::string line = "NOOP " + std::string(length - 7, 'x') + "\r\n";
    Peer peer;
    EXPECT_EQ(peer.say(line + "NOOP\r\n"), "500 5.5.2 Line too long\r\n250 2.0.0 OK\r\n");
    EXPECT_EQ(peer.sayByteByByte(line + "NOOP\r\n"), "500 5.5.2 Line too long\r\n250 2.0.0 OK\r\n");
  }
  Peer peer;
  EXPECT_EQ(peer.codes("NOOP " + std::string(505, 'x') + "\r\n"), "250");  // 512
}

TEST(CommandLine, WithoutEndIsNeverKept) {
  Peer peer;
  std::string replies;
  for (int i = 0; i < 1000 && !peer.closing(); ++i) {
    replies += peer.say(std::string(1000, 'x'));
    ASSERT_LE(peer.protocol.bufferedBytes(), 64u * 1024);
  }
  EXPECT_TRUE(peer.closing());
  EXPECT_EQ(Peer::codesOf(replies), "500");
}

TEST(CommandLine, OfMailAndRcptMayCarryAllParameters) {
  Peer peer;
  peer.hello();
  EXPECT_EQ(peer.codes("MAIL FROM:<" + std::string(64, 'a') + "@b.test> SIZE=1 AUTH=" +
                       std::string(500, 'x') + " ENVID=" + std::string(100, 'e') + "\r\n"),
            "250");
  EXPECT_EQ(peer.codes("RCPT TO:<a@b.test> ORCPT=rfc822;" + std::string(493, 'o') +
                       " NOTIFY=SUCCESS,FAILURE,DELAY\r\n"),
            "250");
  EXPECT_EQ(peer.codes("RCPT TO:<a@b.test> X=" + std::string(2048, 'o') + "\r\n"), "500");
}

TEST(CommandLine, MayEndInABareLfWhereItChangesNothing) {
  Peer peer;
  EXPECT_EQ(peer.codes("EHLO c\nMAIL FROM:<a@b.test>\nRCPT TO:<c@d.test>\nNOOP\n"),
            "250 250 250 250");
  EXPECT_EQ(peer.bare_newlines, 4);
  EXPECT_EQ(peer.say("DATA\n").substr(0, 9), "500 5.5.2");
  EXPECT_EQ(peer.say("BDAT 3\n").substr(0, 9), "500 5.5.2");
  EXPECT_EQ(peer.codes("STARTTLS\nAUTH PLAIN\n"), "500 500");
  EXPECT_EQ(peer.codes("DATA\r\na: b\r\n.\r\n"), "354 250");
}

TEST(CommandLine, NeverEndsInABareLfInRejectMode) {
  Peer peer({.reject_bare_newlines = true});
  EXPECT_EQ(peer.codes("NOOP\nNOOP\r\nNOOP\n"), "500 250 500");
  EXPECT_FALSE(peer.closing());
  EXPECT_EQ(peer.codes("NOOP\nNOOP\r\n"), "500");
  EXPECT_TRUE(peer.closing());
}

TEST(CommandLine, HoldsNeitherCrNorNul) {
  for (const std::string& line :
       {"NOOP\r\r\n"s, "NOOP \0\r\n"s, "NOOP a\rb\r\n"s, "MAIL FROM:<>\r\r\n"s, "DATA\r\r\n"s,
        "DATA\0\r\n"s, "NOOP\x7f\r\n"s}) {
    Peer peer;
    peer.transaction();
    EXPECT_EQ(peer.say(line).substr(0, 9), "500 5.5.2") << testing::PrintToString(line);
  }
}

TEST(CommandLine, OfPipelinedDataMustEndInCrlf) {
  for (const std::string data : {"DATA\n", "DATA\r\r\n"}) {
    Peer peer;
    peer.hello();
    const std::string replies = peer.say(
        "MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\n" + data +
        "Subject: s\r\n\r\nMAIL FROM:<x@y.test>\r\nRCPT TO:<z@y.test>\r\nDATA\r\nx: y\r\n.\r\n");
    EXPECT_EQ(Peer::codesOf(replies).substr(0, 11), "250 250 500");
    EXPECT_TRUE(peer.closing());
    EXPECT_TRUE(peer.messages.empty());
  }
}

// --- Limits --------------------------------------------------------------------------------------

TEST(Limits, CutTheSessionAfterTooManyErrors) {
  Peer peer({.max_errors = 3});
  EXPECT_EQ(peer.codes("FOO\r\nFOO\r\nFOO\r\nNOOP\r\n"), "500 500 500 421");
  EXPECT_TRUE(peer.closing());
}

TEST(Limits, CountErrorsAnewAfterAMessage) {
  Peer peer({.max_errors = 3});
  EXPECT_EQ(peer.codes("FOO\r\nFOO\r\n"), "500 500");
  peer.transaction();
  EXPECT_EQ(peer.codes("DATA\r\na: b\r\n.\r\nFOO\r\nFOO\r\n"), "354 250 500 500");
  EXPECT_FALSE(peer.closing());
}

TEST(Limits, CutTheSessionAfterManyBadRecipients) {
  Peer peer;
  peer.hello();
  std::string commands = "MAIL FROM:<a@b.test>\r\n";
  for (int i = 0; i < 100'000; ++i) commands += "RCPT TO:<bad@d.test>\r\n";
  const std::string replies = peer.say(commands);
  EXPECT_TRUE(peer.closing());
  EXPECT_LE(replies.size(), 1000u);
  EXPECT_THAT(Peer::codesOf(replies), testing::EndsWith("550 421"));
}

TEST(Limits, KeepTheRecipientsThatCameBeforeTooMany) {
  Peer peer;
  peer.hello();
  std::string commands = "MAIL FROM:<a@b.test>\r\n";
  for (int i = 0; i < 1100; ++i) commands += "RCPT TO:<r" + std::to_string(i) + "@d.test>\r\n";
  const std::string replies = peer.say(commands);
  EXPECT_THAT(replies, HasSubstr("452 4.5.3 Too many recipients\r\n"));
  EXPECT_EQ(peer.recipients.size(), 1000u);
  EXPECT_EQ(peer.codes("DATA\r\na: b\r\n.\r\n"), "354 250");
}

TEST(Limits, EndOverEagerRecipientsAtLast) {
  Peer peer({.max_recipients = 1});
  peer.transaction();
  std::string commands;
  for (int i = 0; i < 100'000; ++i) commands += "RCPT TO:<r@d.test>\r\n";
  peer.say(commands);
  EXPECT_TRUE(peer.closing());
}

TEST(Limits, RefuseATooLargeMessageAtMailOrAtItsEnd) {
  Peer peer({.max_message_bytes = 1000});
  peer.hello();
  EXPECT_EQ(peer.say("MAIL FROM:<a@b.test> SIZE=1001\r\n"), "552 5.3.4 Message too large\r\n");
  EXPECT_EQ(peer.codes("MAIL FROM:<a@b.test> SIZE=1000\r\nRCPT TO:<c@d.test>\r\nDATA\r\n"),
            "250 250 354");
  EXPECT_EQ(peer.say("a: b\r\n\r\n" + std::string(2000, 'x')), "");
  EXPECT_EQ(peer.content, "(dropped)");
  EXPECT_EQ(peer.say("\r\n.\r\nNOOP\r\n"), "552 5.3.4 Message too large\r\n250 2.0.0 OK\r\n");
  EXPECT_TRUE(peer.messages.empty());
  EXPECT_THAT(peer.refused, ElementsAre("552 5.3.4", "552 5.3.4"));
}

TEST(Limits, FindALoopByReceivedFields) {
  for (const unsigned count : {50, 51}) {
    Peer peer;
    peer.transaction();
    std::string content;
    for (unsigned i = 0; i < count; ++i) content += "Received: from x\r\n";
    const std::string replies = peer.say("DATA\r\n" + content + "\r\nReceived: no\r\n.\r\n");
    EXPECT_THAT(replies, HasSubstr(count == 50 ? "\r\n250 2.0.0" : "\r\n554 5.4.6"));
  }
}

TEST(Limits, StopReadingWhenReplies) {
  Peer peer;
  std::string commands;
  for (int i = 0; i < 8000; ++i) commands += "EHLO x\r\n";
  peer.protocol.feed(commands);
  EXPECT_TRUE(peer.protocol.hasMore());
  EXPECT_LE(peer.protocol.output().size(), 40u * 1024);
  const std::string replies = peer.read();
  EXPECT_FALSE(peer.protocol.hasMore());
  EXPECT_EQ(Peer::codesOf(replies).size(), 8000u * 4 - 1);
}

// --- Content -------------------------------------------------------------------------------------

TEST(Content, WithNulOrBareNewlinesIsReadToItsEndAndRefused) {
  const std::pair<std::string, bool> rows[] = {{"a\0b"s, true},    {"a\nb", false},
                                               {"a\rb", false},    {"\n.\n", false},
                                               {"\r\n.\n", false}, {"\n.\r\n", false}};
  for (const bool reject : {false, true}) {
    for (const auto& [in, always] : rows) {
      Peer peer({.reject_bare_newlines = reject});
      peer.transaction();
      const std::string replies = peer.say("DATA\r\nh: X" + in + "Y\r\n.\r\nNOOP\r\n");
      const bool refused = reject || always;
      EXPECT_EQ(Peer::codesOf(replies), refused ? "354 554 250" : "354 250 250");
      EXPECT_EQ(replies.find("554 5.6.0") != replies.npos, refused);
      EXPECT_EQ(peer.messages.size(), refused ? 0u : 1u);
    }
  }
}

TEST(Content, BehindARefusedDataNeverBecomesAMessage) {
  const std::string content =
      "Subject: s\r\n\r\nEHLO x\r\nMAIL FROM:<x@y.test>\r\nRCPT TO:<z@y.test>\r\nDATA\r\nx: "
      "y\r\n.\r\n";
  {
    Peer peer;  // in the same segment
    peer.hello();
    peer.say("MAIL FROM:<a@b.test>\r\nRCPT TO:<bad@d.test>\r\nDATA\r\n" + content);
    EXPECT_TRUE(peer.closing());
    EXPECT_TRUE(peer.messages.empty());
  }
  Peer peer;  // and in the next
  peer.hello();
  peer.say("MAIL FROM:<a@b.test>\r\nRCPT TO:<bad@d.test>\r\nDATA\r\n");
  peer.say(content);
  EXPECT_TRUE(peer.closing());
  EXPECT_TRUE(peer.messages.empty());
}

TEST(Content, BehindARefusedDataIsNotConfusedWithCommands) {
  Peer peer;
  EXPECT_EQ(peer.codes("DATA\r\n"), "503");
  EXPECT_EQ(peer.codes("FOO\r\n"), "500");
  EXPECT_EQ(peer.codes("NOOP\r\n"), "250");
}

// --- BDAT ----------------------------------------------------------------------------------------

TEST(Bdat, CarriesAMessageInChunks) {
  Peer peer;
  peer.transaction();
  EXPECT_EQ(peer.codes("BDAT 6\r\na: b\r\nBDAT 7 LAST\r\n\r\n.\r\n.c"), "250 250");
  EXPECT_THAT(peer.messages, ElementsAre("a: b\r\n\r\n.\r\n.c"));
}

TEST(Bdat, IsTheSameByteByByte) {
  Peer peer;
  peer.transaction();
  EXPECT_EQ(Peer::codesOf(peer.sayByteByByte("BDAT 6\r\na: b\r\nBDAT 0 LAST\r\nNOOP\r\n")),
            "250 250 250");
  EXPECT_THAT(peer.messages, ElementsAre("a: b\r\n"));
}

TEST(Bdat, TakesAMillionSmallChunks) {
  Peer peer;
  peer.transaction();
  for (int i = 0; i < 1'000'000; ++i)
    peer.protocol.feed("BDAT 1\r\nx"), peer.protocol.outputTaken();
  EXPECT_EQ(peer.codes("BDAT 0 LAST\r\n"), "250");
  EXPECT_EQ(peer.messages.front().size(), 1'000'000u);
}

TEST(Bdat, DoesNotMixWithData) {
  Peer peer;
  peer.transaction();
  EXPECT_EQ(peer.codes("BDAT 1\r\nx"), "250");
  EXPECT_EQ(peer.codes("DATA\r\n"), "503");
  EXPECT_EQ(peer.codes("RCPT TO:<c@d.test>\r\n"), "503");
  EXPECT_EQ(peer.codes("RSET\r\n"), "250");
  EXPECT_TRUE(peer.messages.empty());
}

TEST(Bdat, IsSteppedOverWhenRefused) {
  Peer peer;
  EXPECT_EQ(peer.codes("BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n"), "503 250");
  peer.hello();
  EXPECT_EQ(peer.codes("BDAT 6\r\nQUIT\r\nNOOP\r\n"), "503 250");
  EXPECT_EQ(peer.codes("MAIL FROM:<a@b.test>\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n"), "250 503 250");
  EXPECT_EQ(peer.codes("MAIL FROM:<a@b.test>\r\nRCPT TO:<bad@d.test>\r\nBDAT 6 LAST\r\nQUIT\r\n"),
            "250 550 554");
  EXPECT_FALSE(peer.closing());
}

TEST(Bdat, FailsAllChunksBehindARefusedOne) {
  Peer peer({.max_message_bytes = 10});
  peer.transaction();
  EXPECT_EQ(
      peer.codes("BDAT 6\r\na: b\r\nBDAT 6\r\nQUIT\r\nBDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nQUIT\r\n"),
      "250 552 503 503");
  EXPECT_TRUE(peer.messages.empty());
  EXPECT_EQ(peer.transactions_ended, 1);
  EXPECT_EQ(peer.refused.size(), 1u);
  peer.transaction();
  EXPECT_EQ(peer.codes("BDAT 6 LAST\r\na: b\r\n"), "250");
}

TEST(Bdat, RefusesSizesOutOfReason) {
  for (const std::string size : {"2147483648", "9223372036854775808", "18446744073709551615"}) {
    Peer peer;
    peer.transaction();
    EXPECT_EQ(peer.codes("BDAT " + size + "\r\n"), "552");
    EXPECT_TRUE(peer.closing());
  }
  for (const std::string size : {"-1", "five", "99999999999999999999", "", "LAST", "6 MORE"}) {
    Peer peer;
    peer.transaction();
    EXPECT_EQ(peer.codes("BDAT " + size + "\r\n"), "501") << size;
    EXPECT_EQ(peer.codes("BDAT 0 LAST\r\n"), "503");
    EXPECT_TRUE(peer.messages.empty());
  }
}

TEST(Bdat, RefusesNulAndBareNewlinesAtTheirChunk) {
  Peer peer({.reject_bare_newlines = true});
  peer.transaction();
  EXPECT_EQ(peer.codes("BDAT 3\r\na\nbBDAT 1 LAST\r\nx"), "554 503");
  Peer normal;
  normal.transaction();
  EXPECT_EQ(normal.codes("BDAT 3 LAST\r\na\0b"s), "554");
  normal.transaction();
  EXPECT_EQ(normal.codes("BDAT 3\r\n\n.\nBDAT 0 LAST\r\n"), "250 250");
  EXPECT_THAT(normal.messages, ElementsAre("\r\n.\r\n"));
}

TEST(Bdat, QueuesNothingWhenCutInMidChunk) {
  Peer peer;
  peer.transaction();
  peer.say("BDAT 100 LAST\r\na: b\r\n");
  peer.protocol.shutDown({421, {4, 4, 2}, "Timeout"});
  EXPECT_TRUE(peer.messages.empty());
  EXPECT_EQ(peer.transactions_ended, 1);
}

// --- STARTTLS and AUTH ---------------------------------------------------------------------------

TEST(StartTls, ForgetsWhatWasSaidBefore) {
  Peer peer({.starttls = true});
  EXPECT_THAT(peer.say("EHLO x\r\n"), HasSubstr("STARTTLS"));
  EXPECT_EQ(peer.codes("STARTTLS\r\n"), "220");
  EXPECT_EQ(peer.tls_upgrades, 1);
  EXPECT_EQ(peer.protocol.phase(), ServerProtocol::Phase::Handshake);
  peer.protocol.tlsStarted();
  EXPECT_EQ(peer.codes("MAIL FROM:<a@b.test>\r\n"), "503");
  EXPECT_THAT(peer.say("EHLO x\r\n"), testing::Not(HasSubstr("STARTTLS")));
  EXPECT_EQ(peer.codes("STARTTLS\r\n"), "503");
}

TEST(StartTls, NeverAnswersInsideWhatWasInjectedBefore) {
  Peer peer({.starttls = true});
  peer.hello();
  EXPECT_EQ(peer.codes("STARTTLS\r\nMAIL FROM:<x@y.test>\r\n"), "421");
  EXPECT_TRUE(peer.closing());
  Peer later({.starttls = true});
  later.hello();
  later.say("STARTTLS\r\n");
  EXPECT_EQ(later.say("NOOP\r\n"), "");
  later.protocol.tlsStarted();
  EXPECT_EQ(later.read(), "");
  EXPECT_EQ(later.codes("NOOP\r\n"), "250");
}

// RFC 8689 section 2.
TEST(StartTls, MakesRequireTlsPossible) {
  Peer peer({.starttls = true});
  EXPECT_THAT(peer.say("EHLO x\r\n"), testing::Not(HasSubstr("REQUIRETLS")));
  EXPECT_EQ(peer.say("MAIL FROM:<a@b.test> REQUIRETLS\r\n").substr(0, 10), "530 5.7.10");
  peer.say("STARTTLS\r\n");
  peer.protocol.tlsStarted();
  EXPECT_THAT(peer.say("EHLO x\r\n"), HasSubstr("REQUIRETLS\r\n"));
  EXPECT_EQ(peer.codes("MAIL FROM:<a@b.test> REQUIRETLS\r\n"), "250");
}

TEST(StartTls, CanBeRequired) {
  Peer peer({.starttls = true, .starttls_required = true});
  peer.hello();
  EXPECT_EQ(peer.say("MAIL FROM:<>\r\n").substr(0, 9), "530 5.7.0");
}

TEST(AuthDialogue, GoesByLines) {
  Peer peer({.auth = AuthOffer::Always, .auth_required = true, .auth_mechanisms = "PLAIN"});
  EXPECT_THAT(peer.say("EHLO x\r\n"), HasSubstr("250-AUTH PLAIN\r\n"));
  EXPECT_EQ(peer.codes("MAIL FROM:<>\r\n"), "530");
  EXPECT_EQ(peer.say("AUTH PLAIN\r\n"), "334 \r\n");
  EXPECT_EQ(peer.codes("bad\r\nAUTH PLAIN\r\n"), "535 334");
  EXPECT_EQ(peer.codes("good\r\n"), "235");
  peer.protocol.authenticated();
  EXPECT_EQ(peer.codes("MAIL FROM:<>\r\n"), "250");
  EXPECT_EQ(peer.codes("RSET\r\nAUTH PLAIN\r\n"), "250 503");
}

TEST(AuthDialogue, IsRefusedInPlaintext) {
  Peer peer({.auth = AuthOffer::UnderTls, .auth_mechanisms = "PLAIN"});
  EXPECT_THAT(peer.say("EHLO x\r\n"), testing::Not(HasSubstr("AUTH")));
  EXPECT_EQ(peer.say("AUTH PLAIN AGEAYg==\r\n").substr(0, 10), "538 5.7.11");
  EXPECT_EQ(peer.mechanism, "");
}

TEST(AuthDialogue, BoundsItsLines) {
  Peer peer({.auth = AuthOffer::Always, .auth_mechanisms = "PLAIN"});
  peer.hello();
  peer.say("AUTH PLAIN\r\n");
  EXPECT_EQ(peer.codes(std::string(13'000, 'A') + "\r\nNOOP\r\n"), "500 250");
}

// --- Draining ------------------------------------------------------------------------------------

TEST(Drain, EndsAnIdleSessionAtOnce) {
  Peer peer;
  peer.hello();
  peer.protocol.drain();
  EXPECT_EQ(peer.read().substr(0, 9), "421 4.3.2");
  EXPECT_TRUE(peer.closing());
}

TEST(Drain, LetsATransactionFinish) {
  Peer peer;
  peer.transaction();
  peer.protocol.drain();
  EXPECT_EQ(peer.read(), "");
  EXPECT_EQ(peer.codes("DATA\r\na: b\r\n.\r\nMAIL FROM:<>\r\n"), "354 250 421");
  EXPECT_EQ(peer.messages.size(), 1u);
}

TEST(Drain, WaitsForAReplyThatIsOwed) {
  Peer peer;
  peer.transaction();
  peer.asked_later = true;
  EXPECT_EQ(peer.codes("DATA\r\na: b\r\n.\r\n"), "354");
  peer.protocol.drain();
  EXPECT_EQ(peer.read(), "");
  peer.answerContent(peer.tickets.back());
  EXPECT_EQ(Peer::codesOf(peer.read()), "250 421");
}

}  // namespace
}  // namespace sluice::smtp
