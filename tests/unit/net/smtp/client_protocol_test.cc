// The client's dialogue against a scripted server: what is sent in which flight, and what each
// reply comes to.
#include "net/smtp/client_protocol.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <memory>

namespace sluice::smtp {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

struct MemoryContent final : ContentSource {
  explicit MemoryContent(std::string text) : block(Block::copyOf(text)) {
    slices = {{block, block->view()}};
  }
  uint64_t size() const override { return block->size(); }
  size_t chunks() const override { return 1; }
  const std::vector<Slice>* inMemory() const override { return later ? nullptr : &slices; }
  void chunk(size_t, Done done) override {
    if (!later) return done(slices);
    waiting = std::move(done);
  }
  BlockRef block;
  std::vector<Slice> slices;
  bool later = false;  // read back from disk
  Done waiting;
};

struct Letter final : ClientTransaction {
  Letter(std::vector<std::string> to, std::string text) : paths(std::move(to)), body(text) {
    for (const std::string& path : paths) recipients.push_back({path, {}, {}, std::nullopt});
    reverse_path = "sender@example.org";
    content = &body;
  }
  std::vector<std::string> paths;
  MemoryContent body;
};

struct Conversation : testing::Test, ClientProtocol::Handler {
  std::string out;
  std::deque<Letter*> letters;
  std::vector<ClientTransaction*> done;
  std::optional<ServerOffer> opened;
  std::optional<Reply> refused;
  std::optional<Error> broken;
  bool quit_done = false;
  int handshakes = 0;
  int content_came = 0;
  size_t unsent = 0;
  std::unique_ptr<ClientProtocol> protocol;

  void begin(ClientOptions options = {}) {
    options.helo = "relay.example.com";
    protocol =
        std::make_unique<ClientProtocol>(options, static_cast<ClientProtocol::Handler&>(*this));
  }
  void openWith(const std::string& ehlo_reply, ClientOptions options = {}) {
    begin(options);
    say("220 mx.example.net ESMTP\r\n");
    say(ehlo_reply);
    (void)take();
  }
  void say(std::string_view bytes) { protocol->onBytes(bytes); }
  std::string take() { return std::exchange(out, {}); }

  void send(std::string_view bytes) override { out.append(bytes); }
  void send(Slice slice) override { out.append(slice.bytes); }
  size_t unsentBytes() const override { return unsent; }
  void onOpen(const ServerOffer& offer) override { opened = offer; }
  void onRefused(Expect, const Reply& reply) override { refused = reply; }
  void onStartTls() override { ++handshakes; }
  ClientTransaction* nextTransaction() override {
    if (letters.empty()) return nullptr;
    Letter* next = letters.front();
    letters.pop_front();
    return next;
  }
  void onDone(ClientTransaction& transaction) override { done.push_back(&transaction); }
  void onBroken(const Error& why, const std::optional<Reply>&) override { broken = why; }
  void onQuitDone() override { quit_done = true; }
  void onContentCame() override { ++content_came; }
};

constexpr const char* kPlain = "250 mx.example.net\r\n";
constexpr const char* kPipelining = "250-mx.example.net\r\n250-PIPELINING\r\n250 SIZE 1000000\r\n";
constexpr const char* kChunking =
    "250-mx.example.net\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 CHUNKING\r\n";

TEST_F(Conversation, GreetsAndReadsTheOffer) {
  begin();
  say("220-welcome\r\n220 mx.exa");
  EXPECT_EQ(take(), "");
  say("mple.net\r\n");
  EXPECT_EQ(take(), "EHLO relay.example.com\r\n");
  say("250-mx.example.net greets you\r\n250-pipelining\r\n250-SIZE 10\r\n250-SIZE x\r\n"
      "250-AUTH PLAIN login\r\n250-LIMITS RCPTMAX=20 MAILMAX=5\r\n250 DSN\r\n");
  ASSERT_TRUE(opened);
  EXPECT_TRUE(opened->pipelining);
  EXPECT_TRUE(opened->dsn);
  EXPECT_FALSE(opened->chunking);
  EXPECT_EQ(opened->max_size, 10u);
  EXPECT_EQ(opened->rcpt_max, 20u);
  EXPECT_EQ(opened->mail_max, 5u);
  EXPECT_EQ(opened->auth, (std::vector<std::string>{"PLAIN", "LOGIN"}));
}

TEST_F(Conversation, FallsBackToHelo) {
  begin();
  say("220 old.example.net\r\n");
  say("502 unknown command\r\n");
  EXPECT_EQ(take(), "EHLO relay.example.com\r\nHELO relay.example.com\r\n");
  say("250 old.example.net\r\n");
  ASSERT_TRUE(opened);
  EXPECT_FALSE(opened->esmtp);
}

TEST_F(Conversation, TellsThatTheGreetingRefuses) {
  begin();
  say("554 5.7.1 no mail from you\r\n");
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->code, 554);
}

TEST_F(Conversation, SendsOneCommandAtATimeWithoutPipelining) {
  openWith(kPlain);
  Letter letter({"a@example.net", "b@example.net"}, "Subject: x\r\n\r\n.dot\r\n");
  letters = {&letter};
  protocol->pump();
  EXPECT_EQ(take(), "MAIL FROM:<sender@example.org>\r\n");
  say("250 ok\r\n");
  EXPECT_EQ(take(), "RCPT TO:<a@example.net>\r\n");
  say("250 ok\r\n");
  EXPECT_EQ(take(), "RCPT TO:<b@example.net>\r\n");
  say("450 4.2.1 busy\r\n");
  EXPECT_EQ(take(), "DATA\r\n");
  say("354 go on\r\n");
  EXPECT_EQ(take(), "Subject: x\r\n\r\n..dot\r\n.\r\n");
  EXPECT_TRUE(done.empty());
  say("250 2.0.0 taken\r\n");
  ASSERT_EQ(done.size(), 1u);
  EXPECT_EQ(letter.recipients[1].reply->code, 450);
  EXPECT_EQ(letter.final_reply->code, 250);
}

TEST_F(Conversation, ResetsAfterNobodyWasTakenWithoutPipelining) {
  openWith(kPlain);
  Letter first({"a@example.net"}, "x\r\n"), second({"b@example.net"}, "y\r\n");
  letters = {&first, &second};
  protocol->pump();
  say("250 ok\r\n");
  (void)take();
  say("550 5.1.1 unknown\r\n");
  EXPECT_EQ(done.size(), 1u);
  EXPECT_EQ(take(), "RSET\r\n");
  say("250 ok\r\n");
  EXPECT_EQ(take(), "MAIL FROM:<sender@example.org>\r\n");
}

TEST_F(Conversation, PipelinesTheEnvelopeAndTheNextOneBehindTheContent) {
  openWith(kPipelining);
  Letter first({"a@example.net"}, "one\r\n"), second({"b@example.net"}, "two\r\n");
  letters = {&first, &second};
  protocol->pump();
  EXPECT_EQ(take(), "MAIL FROM:<sender@example.org> SIZE=5\r\nRCPT TO:<a@example.net>\r\nDATA\r\n");
  say("250 ok\r\n250 ok\r\n354 go\r\n");
  EXPECT_EQ(take(),
            "one\r\n.\r\nMAIL FROM:<sender@example.org> SIZE=5\r\n"
            "RCPT TO:<b@example.net>\r\nDATA\r\n");
  say("250 2.0.0 first\r\n250 ok\r\n250 ok\r\n354 go\r\n");
  EXPECT_EQ(take(), "two\r\n.\r\n");
  say("250 2.0.0 second\r\n");
  ASSERT_EQ(done.size(), 2u);
  EXPECT_EQ(first.final_reply->text, "first");
  EXPECT_EQ(second.final_reply->text, "second");
}

// RFC 2920 section 3.1: a client may not assume that DATA is refused because every RCPT was.
TEST_F(Conversation, SendsALoneDotWhenDataIsTakenWithoutRecipients) {
  openWith(kPipelining);
  Letter letter({"a@example.net"}, "secret\r\n");
  letters = {&letter};
  protocol->pump();
  (void)take();
  say("250 ok\r\n550 5.1.1 unknown\r\n354 go on\r\n");
  EXPECT_EQ(take(), ".\r\n");
  say("554 5.5.1 no recipients\r\n");
  ASSERT_EQ(done.size(), 1u);
  EXPECT_FALSE(letter.content_ended);
}

TEST_F(Conversation, ResetsBeforeTheNextWhenDataWasRefused) {
  openWith(kPipelining);
  Letter first({"a@example.net"}, "one\r\n"), second({"b@example.net"}, "two\r\n");
  letters = {&first, &second};
  protocol->pump();
  (void)take();
  say("250 ok\r\n550 no\r\n503 no recipients\r\n");
  EXPECT_THAT(take(), StartsWith("RSET\r\nMAIL FROM:"));
  say("250 reset\r\n250 ok\r\n250 ok\r\n354 go\r\n");
  EXPECT_EQ(take(), "two\r\n.\r\n");
  say("250 taken\r\n");
  EXPECT_EQ(done.size(), 2u);
  EXPECT_EQ(second.final_reply->code, 250);
}

TEST_F(Conversation, KeepsSeveralTransactionsInFlightWithChunking) {
  ClientOptions options;
  options.chunking_depth = 3;
  openWith(kChunking, options);
  Letter a({"a@example.net"}, "one\r\n"), b({"b@example.net"}, "two\r\n"),
      c({"c@example.net"}, "three\r\n"), d({"d@example.net"}, "four\r\n");
  letters = {&a, &b, &c, &d};
  protocol->pump();
  const std::string flight = take();
  EXPECT_THAT(flight, HasSubstr("BDAT 5 LAST\r\none\r\nRSET\r\nMAIL FROM:"));
  EXPECT_THAT(flight, HasSubstr("BDAT 7 LAST\r\nthree\r\n"));
  EXPECT_EQ(letters.size(), 1u);  // the fourth waits for the first
  say("250 ok\r\n250 ok\r\n250 2.0.0 one\r\n");
  EXPECT_EQ(done.size(), 1u);
  EXPECT_THAT(take(), HasSubstr("BDAT 6 LAST\r\nfour\r\n"));
}

// A slow server is not stuffed, one that answers has more and more under way.
TEST_F(Conversation, SendsMoreAtOnceTheMoreWasAnswered) {
  openWith(kChunking);
  std::vector<std::unique_ptr<Letter>> many;
  for (int i = 0; i < 200; ++i) {
    many.push_back(std::make_unique<Letter>(std::vector<std::string>{"a@example.net"}, "x\r\n"));
    letters.push_back(many.back().get());
  }
  protocol->pump();
  EXPECT_EQ(protocol->transactionsUnderWay(), 4u);
  say("250 ok\r\n250 ok\r\n250 2.0.0 one\r\n");
  EXPECT_EQ(protocol->transactionsUnderWay(), 5u);
  for (int i = 0; i < 60; ++i) say("250 reset\r\n250 ok\r\n250 ok\r\n250 2.0.0 taken\r\n");
  EXPECT_EQ(done.size(), 61u);
  EXPECT_EQ(protocol->transactionsUnderWay(), 32u);
}

TEST_F(Conversation, BeginsNoMoreWhileMuchIsUnsent) {
  openWith(kChunking);
  Letter first({"a@example.net"}, "one\r\n"), second({"b@example.net"}, "two\r\n");
  letters = {&first, &second};
  unsent = 600 * 1024;
  protocol->pump();
  EXPECT_EQ(protocol->transactionsUnderWay(), 1u);
  EXPECT_TRUE(protocol->waitsForRoom());
  unsent = 0;
  protocol->pump();
  EXPECT_EQ(protocol->transactionsUnderWay(), 2u);
  EXPECT_FALSE(protocol->waitsForRoom());
}

TEST_F(Conversation, DoubtsPipeliningUntilAGroupWasAnswered) {
  openWith(kPipelining);
  Letter first({"a@example.net"}, "one\r\n"), second({"b@example.net"}, "two\r\n"),
      third({"c@example.net"}, "three\r\n");
  letters = {&first};
  EXPECT_FALSE(protocol->pipeliningInDoubt());
  protocol->pump();
  EXPECT_TRUE(protocol->pipeliningInDoubt());
  say("250 ok\r\n250 ok\r\n");
  EXPECT_TRUE(protocol->pipeliningInDoubt());  // DATA is owed, and went with the others
  say("354 go\r\n");
  EXPECT_FALSE(protocol->pipeliningInDoubt());
  say("250 taken\r\n");
  letters = {&second, &third};
  protocol->pump();
  EXPECT_FALSE(protocol->pipeliningInDoubt());  // a group is nothing new
  say("250 ok\r\n250 ok\r\n354 go\r\n");
  EXPECT_TRUE(protocol->pipeliningInDoubt());  // a transaction behind the content is
  say("250 taken\r\n");
  EXPECT_TRUE(protocol->pipeliningInDoubt());
  say("250 ok\r\n250 ok\r\n354 go\r\n");
  say("250 taken\r\n");
  EXPECT_EQ(done.size(), 3u);
  EXPECT_FALSE(protocol->pipeliningInDoubt());
}

TEST_F(Conversation, DoubtsPipeliningWhenRepliesAreOutOfStepButNotAfterA421) {
  for (const char* odd : {"354 go\r\n", "421 4.3.2 closing\r\n"}) {
    broken.reset();
    openWith(kPipelining);
    Letter letter({"a@example.net"}, "x\r\n");
    letters = {&letter};
    protocol->pump();
    say("250 ok\r\n");
    say(odd);
    ASSERT_TRUE(broken) << odd;
    EXPECT_EQ(protocol->pipeliningInDoubt(), odd[0] == '3') << odd;
  }
}

TEST_F(Conversation, SendsOneCommandAtATimeOncePipeliningIsAvoided) {
  openWith(kPipelining);
  protocol->avoidPipelining();
  Letter letter({"a@example.net"}, "x\r\n");
  letters = {&letter};
  protocol->pump();
  EXPECT_EQ(take(), "MAIL FROM:<sender@example.org> SIZE=3\r\n");
}

TEST_F(Conversation, SendsALargeChunkOnlyWhenSomebodyWantsIt) {
  openWith(kChunking);
  Letter letter({"a@example.net"}, std::string(100'000, 'x') + "\r\n");
  letters = {&letter};
  protocol->pump();
  EXPECT_THAT(take(), testing::Not(HasSubstr("BDAT")));
  say("250 ok\r\n550 no\r\n");
  EXPECT_EQ(take(), "");
  ASSERT_EQ(done.size(), 1u);
}

TEST_F(Conversation, CountsOnly25xAsTaken) {
  for (const char* answer : {"220 mx ready\r\n", "221 bye\r\n", "354 go on\r\n"}) {
    broken.reset();
    openWith(kPlain);
    Letter letter({"a@example.net"}, "x\r\n");
    letters = {&letter};
    protocol->pump();
    say("250 ok\r\n");
    say("250 ok\r\n");
    say("354 go\r\n");
    say(answer);
    EXPECT_TRUE(broken) << answer;
    EXPECT_FALSE(letter.final_reply) << answer;
    const auto left = protocol->abandon();
    ASSERT_EQ(left.size(), 1u);
    EXPECT_TRUE(left[0]->content_ended);
  }
}

TEST_F(Conversation, KeepsA421AsTheReplyAndEnds) {
  openWith(kPipelining);
  Letter first({"a@example.net"}, "x\r\n"), second({"b@example.net"}, "y\r\n");
  letters = {&first, &second};
  protocol->pump();
  say("250 ok\r\n250 ok\r\n354 go\r\n");
  say("421 4.3.2 closing\r\n");
  ASSERT_TRUE(broken);
  EXPECT_EQ(first.final_reply->code, 421);
  EXPECT_EQ(protocol->abandon().size(), 2u);
  EXPECT_FALSE(second.content_ended);
}

TEST_F(Conversation, EndsOnWordsThatWereNotAskedFor) {
  openWith(kPlain);
  say("250 surprise\r\n");
  ASSERT_TRUE(broken);
  EXPECT_EQ(broken->code, Errc::Malformed);
}

TEST_F(Conversation, QuitsOnlyWhenTheLastReplyIsIn) {
  openWith(kPipelining);
  Letter letter({"a@example.net"}, "x\r\n");
  letters = {&letter};
  protocol->pump();
  protocol->quit();
  say("250 ok\r\n250 ok\r\n354 go\r\n");
  EXPECT_THAT(take(), testing::Not(HasSubstr("QUIT")));
  say("250 taken\r\n");
  EXPECT_EQ(take(), "QUIT\r\n");
  say("221 bye\r\n");
  EXPECT_TRUE(quit_done);
}

TEST_F(Conversation, WaitsForContentThatIsReadBackFromDisk) {
  openWith(kPipelining);
  Letter first({"a@example.net"}, "one\r\n"), second({"b@example.net"}, "two\r\n");
  first.body.later = true;
  letters = {&first, &second};
  protocol->pump();
  (void)take();
  say("250 ok\r\n250 ok\r\n354 go\r\n");
  EXPECT_EQ(take(), "");
  first.body.waiting(first.body.slices);
  EXPECT_EQ(content_came, 1);  // told, so that it leaves without waiting for the peer
  EXPECT_THAT(take(), StartsWith("one\r\n.\r\nMAIL FROM:"));
}

TEST_F(Conversation, BreaksOffWhenTheContentCannotBeRead) {
  openWith(kPipelining);
  Letter letter({"a@example.net"}, "one\r\n");
  letter.body.later = true;
  letters = {&letter};
  protocol->pump();
  say("250 ok\r\n250 ok\r\n354 go\r\n");
  letter.body.waiting(fail(Errc::Corrupt, "checksum"));
  ASSERT_TRUE(broken);
  EXPECT_EQ(broken->code, Errc::Corrupt);
  EXPECT_FALSE(letter.content_ended);
}

TEST_F(Conversation, PassesParametersOnlyWhenTheyAreOffered) {
  openWith("250-mx\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 DSN\r\n");
  Letter letter({"j\xc3\xbcrgen@example.net"}, "x\r\n");
  letter.eight_bit = letter.smtputf8 = true;
  letter.ret = "HDRS";
  letter.envid = "id+2B1";
  letter.recipients[0].notify = "SUCCESS,FAILURE";
  letter.recipients[0].orcpt = "rfc822;j@example.net";
  letters = {&letter};
  protocol->pump();
  EXPECT_EQ(take(),
            "MAIL FROM:<sender@example.org> BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=id+2B1\r\n");
  say("250 ok\r\n");
  EXPECT_EQ(take(),
            "RCPT TO:<j\xc3\xbcrgen@example.net> NOTIFY=SUCCESS,FAILURE "
            "ORCPT=rfc822;j@example.net\r\n");
}

std::string stuffed(std::vector<std::string> pieces) {
  DotStuffer stuffer;
  std::string out;
  for (const std::string& piece : pieces) {
    const BlockRef block = Block::copyOf(piece);
    stuffer.pass(Slice{block, block->view()}, [&](auto&& part) {
      if constexpr (std::is_same_v<std::decay_t<decltype(part)>, Slice>) {
        out.append(part.bytes);
      } else {
        out.append(part);
      }
    });
  }
  return out.append(stuffer.ending());
}

TEST(DotStuffing, IsTheSameHoweverTheContentIsCut) {
  const std::string text = ".a\r\n..b\r\n\r\n.\r\nc.d\r\n.";
  const std::string expected = "..a\r\n...b\r\n\r\n..\r\nc.d\r\n..\r\n.\r\n";
  EXPECT_EQ(stuffed({text}), expected);
  for (size_t i = 0; i <= text.size(); ++i) {
    for (size_t j = i; j <= text.size(); ++j) {
      EXPECT_EQ(stuffed({text.substr(0, i), text.substr(i, j - i), text.substr(j)}), expected);
    }
  }
}

TEST(DotStuffing, EndsAnEmptyContentWithALoneDot) { EXPECT_EQ(stuffed({}), ".\r\n"); }

// --- STARTTLS (RFC 3207) ---

constexpr const char* kStartTls = "250-mx.example.net\r\n250-PIPELINING\r\n250 STARTTLS\r\n";

ClientOptions withTls(StartTls when) {
  ClientOptions options;
  options.starttls = when;
  return options;
}

TEST_F(Conversation, StartsTlsWhereItIsOfferedAndSaysHelloAnew) {
  begin(withTls(StartTls::IfOffered));
  say("220 mx.example.net\r\n");
  take();
  say(kStartTls);
  EXPECT_EQ(take(), "STARTTLS\r\n");
  EXPECT_FALSE(opened);
  say("220 2.0.0 go ahead\r\n");
  EXPECT_EQ(handshakes, 1);
  EXPECT_EQ(take(), "");
  EXPECT_FALSE(protocol->awaited());
  protocol->tlsStarted();
  EXPECT_EQ(take(), "EHLO relay.example.com\r\n");
  EXPECT_FALSE(protocol->offer().pipelining) << "what was offered in clear is forgotten";
  say("250-mx.example.net\r\n250 8BITMIME\r\n");
  ASSERT_TRUE(opened);
  EXPECT_TRUE(opened->eight_bit_mime);
  EXPECT_FALSE(opened->pipelining);
}

// RFC 8689: a word of those who keep it, said under TLS only.
TEST_F(Conversation, DemandsTlsOnwardsOfHostsThatOfferIt) {
  Letter letter({"a@example.net"}, "x");
  letter.require_tls = true;
  openWith("250-mx.example.net\r\n250 REQUIRETLS\r\n");
  letters.push_back(&letter);
  protocol->pump();
  EXPECT_EQ(take(), "MAIL FROM:<sender@example.org>\r\n") << "in clear";

  Letter again({"a@example.net"}, "x");
  again.require_tls = true;
  openWith(kStartTls, withTls(StartTls::Required));
  say("220 go\r\n");
  protocol->tlsStarted();
  take();
  say("250-mx.example.net\r\n250 REQUIRETLS\r\n");
  letters.push_back(&again);
  protocol->pump();
  EXPECT_EQ(take(), "MAIL FROM:<sender@example.org> REQUIRETLS\r\n");
}

TEST_F(Conversation, DoesNotStartTlsTwice) {
  begin(withTls(StartTls::Required));
  say("220 mx.example.net\r\n");
  say(kStartTls);
  say("220 go\r\n");
  protocol->tlsStarted();
  take();
  say(kStartTls);
  EXPECT_TRUE(opened);
  EXPECT_EQ(take(), "");
}

TEST_F(Conversation, GoesOnInClearWhereTlsIsNotOfferedOrRefusedAndNotRequired) {
  openWith(kPipelining, withTls(StartTls::IfOffered));
  EXPECT_TRUE(opened);
  opened.reset();
  openWith(kStartTls, withTls(StartTls::IfOffered));
  say("454 4.7.0 no certificate today\r\n");
  EXPECT_TRUE(opened);
  EXPECT_EQ(handshakes, 0);
}

TEST_F(Conversation, NeverGoesOnInClearWhereTlsIsRequired) {
  openWith(kPipelining, withTls(StartTls::Required));
  ASSERT_TRUE(broken);
  EXPECT_EQ(broken->code, Errc::TlsMissing);
  broken.reset();
  openWith(kStartTls, withTls(StartTls::Required));
  say("454 4.7.0 no certificate today\r\n");
  ASSERT_TRUE(broken);
  EXPECT_EQ(broken->code, Errc::TlsMissing);
  broken.reset();
  openWith("500 what?\r\n", withTls(StartTls::Required));  // HELO, then
  say("250 mx\r\n");
  ASSERT_TRUE(broken);
  EXPECT_EQ(broken->code, Errc::TlsMissing);
  EXPECT_FALSE(opened);
}

// CVE-2011-0411 and its kin: replies injected in clear to be read as if they came under TLS.
TEST_F(Conversation, LeavesAServerThatSaysMoreBehindItsReplyToStartTls) {
  openWith(kStartTls, withTls(StartTls::IfOffered));
  say("220 go\r\n250-injected\r\n250 AUTH PLAIN\r\n");
  ASSERT_TRUE(broken);
  EXPECT_EQ(broken->code, Errc::TlsFailed);
  EXPECT_EQ(handshakes, 0);
  EXPECT_FALSE(opened);
}

TEST_F(Conversation, ImplicitTlsComesBeforeTheGreeting) {
  begin(withTls(StartTls::Required));
  protocol->tlsStarted();
  EXPECT_EQ(take(), "");
  say("220 mx.example.net\r\n");
  EXPECT_EQ(take(), "EHLO relay.example.com\r\n");
  say(kStartTls);
  EXPECT_TRUE(opened);
}

}  // namespace
}  // namespace sluice::smtp
