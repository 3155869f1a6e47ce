#include "relay/deliver/outcome.h"

#include <gtest/gtest.h>

namespace sluice::relay {
namespace {

using Kind = Verdict::Kind;

smtp::Reply reply(std::string_view line) {
  smtp::ReplyParser parser;
  const std::string bytes = std::string(line) + "\r\n";
  std::string_view input = bytes;
  return **parser.feed(input);
}

struct Said {
  const char* mail;
  std::vector<const char*> rcpt;
  const char* data;
  const char* final;
};

smtp::ClientTransaction after(const Said& said) {
  smtp::ClientTransaction transaction;
  if (said.mail) transaction.mail_reply = reply(said.mail);
  for (const char* line : said.rcpt) {
    transaction.recipients.push_back({"a@example.net", {}, {}, std::nullopt});
    if (line) transaction.recipients.back().reply = reply(line);
  }
  if (said.data) transaction.data_reply = reply(said.data);
  if (said.final) transaction.final_reply = reply(said.final);
  return transaction;
}

struct Row {
  const char* what;
  Said said;
  size_t recipient;
  Kind kind;
  const char* status;
};

class Replies : public testing::TestWithParam<Row> {};

TEST_P(Replies, MeanThis) {
  const Row& row = GetParam();
  const Verdict verdict = judge(after(row.said), row.recipient);
  EXPECT_EQ(verdict.kind, row.kind) << row.what;
  EXPECT_EQ(verdict.status, row.status) << row.what;
}

INSTANTIATE_TEST_SUITE_P(
    OfAWholeTransaction, Replies,
    testing::Values(Row{"taken",
                        {"250 ok", {"250 ok"}, "354 go", "250 2.0.0 taken"},
                        0,
                        Kind::Delivered,
                        "2.0.0"},
                    Row{"no enhanced code",
                        {"250 ok", {"250 ok"}, "354 go", "250 ok"},
                        0,
                        Kind::Delivered,
                        "2.0.0"},
                    Row{"MAIL for now",
                        {"451 4.7.1 later", {"503 no"}, "503 no", nullptr},
                        0,
                        Kind::Deferred,
                        "4.7.1"},
                    Row{"MAIL for good",
                        {"550 5.7.1 no", {"503 no"}, "503 no", nullptr},
                        0,
                        Kind::Bounced,
                        "5.7.1"},
                    Row{"RCPT for now",
                        {"250 ok", {"450 4.2.1 busy"}, "503 x", nullptr},
                        0,
                        Kind::Deferred,
                        "4.2.1"},
                    Row{"RCPT for good",
                        {"250 ok", {"550 5.1.1 who"}, "503 x", nullptr},
                        0,
                        Kind::Bounced,
                        "5.1.1"},
                    Row{"RCPT 556",
                        {"250 ok", {"556 5.1.10 null MX"}, "503 x", nullptr},
                        0,
                        Kind::Bounced,
                        "5.1.10"},
                    Row{"some RCPT refused",
                        {"250 ok", {"250 ok", "550 5.1.1 who"}, "354 go", "250 ok"},
                        0,
                        Kind::Delivered,
                        "2.0.0"},
                    Row{"the refused one",
                        {"250 ok", {"250 ok", "550 5.1.1 who"}, "354 go", "250 ok"},
                        1,
                        Kind::Bounced,
                        "5.1.1"},
                    Row{"too many",
                        {"250 ok", {"250 ok", "452 4.5.3 more"}, "354 go", "250 ok"},
                        1,
                        Kind::Again,
                        "4.5.3"},
                    Row{"too many, old",
                        {"250 ok", {"250 ok", "552 too many"}, "354 go", "250 ok"},
                        1,
                        Kind::Again,
                        "4.5.3"},
                    Row{"452 to all",
                        {"250 ok", {"452 4.2.2 full"}, "503 x", nullptr},
                        0,
                        Kind::Deferred,
                        "4.2.2"},
                    Row{"552 to all",
                        {"250 ok", {"552 5.2.2 full"}, "503 x", nullptr},
                        0,
                        Kind::Deferred,
                        "4.2.2"},
                    Row{"DATA for now",
                        {"250 ok", {"250 ok"}, "451 4.3.0 disk", nullptr},
                        0,
                        Kind::Deferred,
                        "4.3.0"},
                    Row{"DATA for good",
                        {"250 ok", {"250 ok"}, "554 5.7.1 no", nullptr},
                        0,
                        Kind::Bounced,
                        "5.7.1"},
                    Row{"content for now",
                        {"250 ok", {"250 ok"}, "354 go", "451 4.7.0 later"},
                        0,
                        Kind::Deferred,
                        "4.7.0"},
                    Row{"content for good",
                        {"250 ok", {"250 ok"}, "354 go", "552 5.3.4 big"},
                        0,
                        Kind::Bounced,
                        "5.3.4"}));

// Reports repeat what the server said, not what we made of it.
TEST(FarEnd, IsRepeatedWordForWord) {
  const auto said = [](const char* line) {
    return judge(after({"250 ok", {line}, nullptr, nullptr}), 0).said;
  };
  EXPECT_EQ(said("550 5.1.1 no such user"), "550 5.1.1 no such user");
  EXPECT_EQ(said("550 no"), "550 no");
  EXPECT_EQ(said("552 5.2.2 full"), "552 5.2.2 full");
}

TEST(BrokenTransaction, IsAmbiguousOnceTheContentWasSent) {
  smtp::ClientTransaction transaction = after({"250 ok", {"250 ok"}, "354 go", nullptr});
  transaction.content_ended = true;
  const Verdict verdict =
      judgeBroken(transaction, 0, {Error{Errc::Timeout, "no answer"}, true, true});
  EXPECT_EQ(verdict.kind, Kind::Deferred);
  EXPECT_TRUE(verdict.ambiguous);
  EXPECT_EQ(verdict.status, "4.4.2");
}

// RFC 5321 section 3.8: a server that says 421 closes the connection and does nothing more.
TEST(BrokenTransaction, WasNotTakenIfTheServerHadSaidGoodbyeBefore) {
  smtp::ClientTransaction sent = after({nullptr, {nullptr}, nullptr, nullptr});
  sent.content_ended = true;
  const Error closing{Errc::Closed, "421 too many messages"};
  const Verdict verdict = judgeBroken(sent, 0, {closing, true, false, true});
  EXPECT_EQ(verdict.kind, Kind::Again);
  EXPECT_FALSE(verdict.ambiguous);
  const smtp::ClientTransaction refused =
      after({"421 too many messages", {nullptr}, nullptr, nullptr});
  EXPECT_EQ(judgeBroken(refused, 0, {closing, true, true, true}).kind, Kind::Again);
  // A host that says so to the first message of a connection has no room for it.
  EXPECT_EQ(judgeBroken(refused, 0, {closing, false, true, true}).kind, Kind::Deferred);
}

TEST(PipelinedTransaction, IsTriedAgainPlainlyIfAPartOfItWasLost) {
  for (const Said& said : {Said{"503 5.5.1 what", {"503 5.5.1 what"}, "503 5.5.1 what", nullptr},
                           Said{"250 ok", {"503 5.5.1 need MAIL"}, "503 5.5.1 need RCPT", nullptr},
                           Said{"250 ok", {"250 ok"}, "500 5.5.2 unknown", nullptr}}) {
    smtp::ClientTransaction transaction = after(said);
    EXPECT_FALSE(pipeliningRefused(transaction));
    EXPECT_EQ(judge(transaction, 0).kind, Kind::Bounced);
    transaction.sent_on_trust = true;
    EXPECT_TRUE(pipeliningRefused(transaction));
    EXPECT_EQ(judge(transaction, 0).kind, Kind::Again);
  }
  // 503 to DATA is right where nobody was taken.
  smtp::ClientTransaction transaction =
      after({"250 ok", {"550 5.1.1 who"}, "503 5.5.1 no recipients", nullptr});
  transaction.sent_on_trust = true;
  EXPECT_FALSE(pipeliningRefused(transaction));
  EXPECT_EQ(judge(transaction, 0).kind, Kind::Bounced);
}

TEST(BrokenTransaction, KeepsWhatTheServerHadSaidBefore) {
  smtp::ClientTransaction transaction =
      after({"250 ok", {"550 5.1.1 who", nullptr}, nullptr, nullptr});
  const Break how{Error{Errc::Reset, "gone"}, false, true};
  EXPECT_EQ(judgeBroken(transaction, 0, how).kind, Kind::Bounced);
  EXPECT_EQ(judgeBroken(transaction, 1, how).kind, Kind::Deferred);
}

TEST(BrokenTransaction, CostsAnAttemptOnlyWhenItWasItsTurn) {
  const smtp::ClientTransaction unsaid = after({nullptr, {nullptr}, nullptr, nullptr});
  const Error gone{Errc::Closed, "gone"};
  EXPECT_EQ(judgeBroken(unsaid, 0, {gone, false, true}).kind, Kind::Deferred);
  EXPECT_EQ(judgeBroken(unsaid, 0, {gone, false, false}).kind, Kind::Again);
  // The server closed an idle connection just as we used it again.
  EXPECT_EQ(judgeBroken(unsaid, 0, {gone, true, true}).kind, Kind::Again);
  // A server that hangs is no server that closed.
  EXPECT_EQ(judgeBroken(unsaid, 0, {Error{Errc::Timeout, "x"}, true, true}).kind, Kind::Deferred);
}

TEST(Unreachable, IsPermanentOnlyWhenTheDomainSaysSo) {
  const auto kind = [](Errc code) { return judgeUnreachable(Error{code, "x"}).kind; };
  const auto status = [](Errc code) { return judgeUnreachable(Error{code, "x"}).status; };
  EXPECT_EQ(kind(Errc::NoDomain), Kind::Bounced);
  EXPECT_EQ(status(Errc::NoDomain), "5.1.2");
  EXPECT_EQ(status(Errc::NullMx), "5.1.10");
  EXPECT_EQ(status(Errc::LoopsToUs), "5.4.6");
  EXPECT_EQ(status(Errc::AddressRefused), "5.4.4");
  for (const Errc code : {Errc::DnsFailed, Errc::Timeout, Errc::Refused, Errc::Unreachable,
                          Errc::Closed, Errc::Reset, Errc::Malformed, Errc::Io}) {
    EXPECT_EQ(kind(code), Kind::Deferred) << toString(code);
  }
}

TEST(Offer, LacksWhatTheMessageNeeds) {
  smtp::ClientTransaction transaction;
  smtp::ServerOffer offer;
  EXPECT_FALSE(judgeOffer(transaction, offer));
  transaction.eight_bit = true;
  EXPECT_EQ(judgeOffer(transaction, offer)->status, "5.6.3");
  transaction.smtputf8 = true;
  EXPECT_EQ(judgeOffer(transaction, offer)->status, "5.6.7");
  offer.eight_bit_mime = offer.smtputf8 = true;
  EXPECT_FALSE(judgeOffer(transaction, offer));
}

}  // namespace
}  // namespace sluice::relay
