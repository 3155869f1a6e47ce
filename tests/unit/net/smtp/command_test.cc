#include "net/smtp/command.h"

#include <gtest/gtest.h>

namespace sluice::smtp {
namespace {

Verb verb(std::string_view line) {
  std::string_view argument;
  return verbOf(line, argument);
}

std::string refusalOf(const Rejection& rejection) {
  return std::to_string(rejection.code) + " " + rejection.status.toString();
}
std::string mailRefusal(std::string_view argument) {
  const auto mail = parseMail(argument);
  return mail ? "taken" : refusalOf(mail.error());
}
std::string rcptRefusal(std::string_view argument, bool smtputf8 = false) {
  const auto rcpt = parseRcpt(argument, smtputf8);
  return rcpt ? "taken" : refusalOf(rcpt.error());
}

TEST(Verb, IsFoundInAnyCase) {
  EXPECT_EQ(verb("MAIL FROM:<>"), Verb::Mail);
  EXPECT_EQ(verb("mAiL from:<>"), Verb::Mail);
  EXPECT_EQ(verb("quit"), Verb::Quit);
  EXPECT_EQ(verb("starttls"), Verb::StartTls);
  EXPECT_EQ(verb("DATA "), Verb::Data);
  EXPECT_EQ(verb("DATA\t"), Verb::Data);
}

TEST(Verb, IsNotGuessed) {
  EXPECT_EQ(verb(""), Verb::Unknown);
  EXPECT_EQ(verb("MAILX FROM:<>"), Verb::Unknown);
  EXPECT_EQ(verb("MAI"), Verb::Unknown);
  EXPECT_EQ(verb(" QUIT"), Verb::Unknown);
  EXPECT_EQ(verb("EHLO:"), Verb::Unknown);
}

TEST(Verb, KnowsThePastAndOtherProtocols) {
  for (const auto* word : {"EXPN x", "ETRN x", "TURN", "WIZ", "DEBUG", "SEND FROM:<a@b>"}) {
    EXPECT_EQ(verb(word), Verb::NotImplemented) << word;
  }
  for (const auto* word : {"GET / HTTP/1.1", "post /", "CONNECT a:25"}) {
    EXPECT_EQ(verb(word), Verb::Foreign) << word;
  }
}

TEST(Mail, ReadsEveryParameter) {
  const auto mail =
      parseMail("FROM:<a@b.test> SIZE=1000 body=8bitmime SMTPUTF8 RET=HDRS ENVID=QQ+2B1 AUTH=<>");
  ASSERT_TRUE(mail);
  EXPECT_EQ(mail->reverse_path.mailbox, "a@b.test");
  EXPECT_EQ(mail->size, 1000u);
  EXPECT_EQ(mail->body, Body::EightBitMime);
  EXPECT_TRUE(mail->smtputf8);
  EXPECT_EQ(mail->ret, Ret::Headers);
  EXPECT_EQ(mail->envid, "QQ+2B1");
  EXPECT_EQ(mail->auth, "<>");
}

TEST(Mail, ReadsTheDemandForTls) {
  EXPECT_FALSE(parseMail("FROM:<a@b.test>")->require_tls);
  EXPECT_TRUE(parseMail("FROM:<a@b.test> requiretls")->require_tls);
  EXPECT_EQ(mailRefusal("FROM:<a@b.test> REQUIRETLS=yes"), "501 5.5.4");
}

TEST(Mail, ToleratesSpaces) {
  EXPECT_TRUE(parseMail("FROM: <a@b.test>"));
  EXPECT_TRUE(parseMail("from:<a@b.test>  "));
  EXPECT_TRUE(parseMail("FROM:<a@b.test>   SIZE=1   BODY=7BIT"));
  EXPECT_TRUE(parseMail("FROM:<>"));
}

TEST(Mail, SaysWhatIsWrong) {
  const std::pair<std::string, std::string> cases[] = {
      {"", "501 5.5.4"},
      {"TO:<a@b.test>", "501 5.5.4"},
      {"FROM <a@b.test>", "501 5.5.4"},
      {"FROM:a@b.test", "501 5.1.7"},
      {"FROM:<a>", "501 5.1.7"},
      {"FROM:<a@b.test>SIZE=1", "501 5.1.7"},
      {"FROM:<a@b.test>\tSIZE=1", "501 5.1.7"},
      {"FROM:<a@b.test> SIZE", "501 5.5.4"},
      {"FROM:<a@b.test> SIZE=", "501 5.5.4"},
      {"FROM:<a@b.test> SIZE=-1", "501 5.5.4"},
      {"FROM:<a@b.test> SIZE=+1", "501 5.5.4"},
      {"FROM:<a@b.test> SIZE=1x", "501 5.5.4"},
      {"FROM:<a@b.test> SIZE=99999999999999999999", "501 5.5.4"},
      {"FROM:<a@b.test> SIZE=000000000000000000001", "501 5.5.4"},
      {"FROM:<a@b.test> SIZE=1 SIZE=1", "501 5.5.4"},
      {"FROM:<a@b.test> BODY=8BITMIME BODY=8BITMIME", "501 5.5.4"},
      {"FROM:<a@b.test> BODY=9BIT", "501 5.5.4"},
      {"FROM:<a@b.test> BODY=BINARYMIME", "555 5.5.4"},
      {"FROM:<a@b.test> SMTPUTF8=1", "501 5.5.4"},
      {"FROM:<a@b.test> RET=ALL", "501 5.5.4"},
      {"FROM:<a@b.test> ENVID=a+0D+0Ab", "501 5.5.4"},
      {"FROM:<a@b.test> ENVID=gr\xc3\xbc", "501 5.5.4"},
      {"FROM:<a@b.test> ENVID=" + std::string(101, 'e'), "501 5.5.4"},
      {"FROM:<a@b.test> AUTH=a=b", "501 5.5.4"},
      {"FROM:<a@b.test> FOO=BAR", "555 5.5.4"},
      {"FROM:<a@b.test> NOTIFY=NEVER", "555 5.5.4"},
      {"FROM:<a@b.test> =x", "501 5.5.4"},
      {"FROM:<a@b.test> -X=1", "501 5.5.4"},
      {"FROM:<a@b.test> S\xc4\xb0ZE=1", "501 5.5.4"},
      {"FROM:<gr\xc3\xbc@b.test>", "553 5.6.7"},
  };
  for (const auto& [argument, refusal] : cases)
    EXPECT_EQ(mailRefusal(argument), refusal) << argument;
}

TEST(Mail, TakesNonAsciiWithSmtpUtf8) {
  EXPECT_TRUE(parseMail("FROM:<gr\xc3\xbc@b.test> SMTPUTF8"));
}

TEST(Mail, TakesTheLongestEnvid) {
  EXPECT_TRUE(parseMail("FROM:<a@b.test> ENVID=" + std::string(100, 'e')));
}

TEST(Rcpt, ReadsEveryParameter) {
  const auto rcpt =
      parseRcpt("TO:<a@b.test> NOTIFY=SUCCESS,delay ORCPT=rfc822;a+2Bb@b.test", false);
  ASSERT_TRUE(rcpt);
  EXPECT_TRUE(rcpt->notify_set);
  EXPECT_TRUE(rcpt->notify_success);
  EXPECT_TRUE(rcpt->notify_delay);
  EXPECT_FALSE(rcpt->notify_failure);
  EXPECT_FALSE(rcpt->notify_never);
  EXPECT_EQ(rcpt->orcpt, "rfc822;a+2Bb@b.test");
}

TEST(Rcpt, SaysWhatIsWrong) {
  const std::pair<std::string, std::string> cases[] = {
      {"", "501 5.5.4"},
      {"FROM:<a@b.test>", "501 5.5.4"},
      {"TO:a@b.test", "501 5.1.3"},
      {"TO:<>", "501 5.1.3"},
      {"TO:<@relay.test:a@b.test>", "501 5.1.3"},
      {"TO:<a@b.test>x", "501 5.1.3"},
      {"TO:<a@b.test> NOTIFY=", "501 5.5.4"},
      {"TO:<a@b.test> NOTIFY=SOMETIMES", "501 5.5.4"},
      {"TO:<a@b.test> NOTIFY=NEVER,SUCCESS", "501 5.5.4"},
      {"TO:<a@b.test> NOTIFY=SUCCESS,", "501 5.5.4"},
      {"TO:<a@b.test> NOTIFY=NEVER NOTIFY=NEVER", "501 5.5.4"},
      {"TO:<a@b.test> ORCPT=a@b.test", "501 5.5.4"},
      {"TO:<a@b.test> ORCPT=rfc822;", "501 5.5.4"},
      {"TO:<a@b.test> ORCPT=;a@b.test", "501 5.5.4"},
      {"TO:<a@b.test> ORCPT=rfc822;a+0D+0A@b.test", "501 5.5.4"},
      {"TO:<a@b.test> ORCPT=rfc822;gr\xc3\xbc@b.test", "501 5.5.4"},
      {"TO:<a@b.test> ORCPT=rfc822;" + std::string(500, 'o'), "501 5.5.4"},
      {"TO:<a@b.test> SIZE=1", "555 5.5.4"},
      {"TO:<gr\xc3\xbc@b.test>", "553 5.6.7"},
  };
  for (const auto& [argument, refusal] : cases)
    EXPECT_EQ(rcptRefusal(argument), refusal) << argument;
}

TEST(Rcpt, TakesUtf8OriginalRecipientsUnderSmtpUtf8Only) {
  const std::string argument = "TO:<a@b.test> ORCPT=utf-8;gr\xc3\xbc@b.test";
  EXPECT_EQ(rcptRefusal(argument, true), "taken");
  EXPECT_EQ(rcptRefusal(argument, false), "501 5.5.4");
}

TEST(Rcpt, TakesUtf8InXtextAsPostfixWritesItUnderSmtpUtf8Only) {
  const std::string argument = "TO:<a@b.test> ORCPT=rfc822;gr+C3+BC@b.test";
  EXPECT_EQ(parseRcpt(argument, true)->orcpt, "rfc822;gr+C3+BC@b.test");
  EXPECT_EQ(rcptRefusal(argument, false), "501 5.5.4");
  for (const auto* hostile :
       {"rfc822;gr+C3+BC+0D+0A@b.test", "rfc822;gr+FF@b.test", "rfc822;+C3+BC"})
    EXPECT_EQ(rcptRefusal("TO:<a@b.test> ORCPT=" + std::string(hostile), true), "501 5.5.4");
}

TEST(Bdat, ReadsSizeAndLast) {
  EXPECT_EQ(parseBdat("86")->bytes, 86u);
  EXPECT_FALSE(parseBdat("86")->last);
  EXPECT_TRUE(parseBdat("0 last")->last);
  EXPECT_EQ(parseBdat("9223372036854775808")->bytes, 1ull << 63);
}

TEST(Bdat, RefusesWhatIsNoSize) {
  for (const auto* argument :
       {"", "-1", "x", "5x", "99999999999999999999", "0x10", "LAST", "5 MORE", "5 LAST MORE"}) {
    EXPECT_FALSE(parseBdat(argument)) << argument;
  }
}

TEST(Auth, ReadsTheInitialResponse) {
  EXPECT_EQ(parseAuth("PLAIN")->initial_response, std::nullopt);
  EXPECT_EQ(parseAuth("PLAIN =")->initial_response, "=");
  EXPECT_EQ(parseAuth("PLAIN AGEAYg==")->mechanism, "PLAIN");
  EXPECT_FALSE(parseAuth(""));
  EXPECT_FALSE(parseAuth("PLAIN a b"));
}

TEST(Hello, TakesAnyNameWithoutControls) {
  EXPECT_EQ(parseHello(" a;b%n%s${run} \xc3\xbc ").value(), "a;b%n%s${run} \xc3\xbc");
  EXPECT_FALSE(parseHello(""));
  EXPECT_FALSE(parseHello("   "));
  EXPECT_FALSE(parseHello("a\x1b[0m"));
  EXPECT_FALSE(parseHello(std::string_view("a\0b", 3)));
}

TEST(LineLimit, GrowsWithWhatExtensionsAdd) {
  EXPECT_EQ(maxLineBytes(Verb::Noop), 512u);
  EXPECT_EQ(maxLineBytes(Verb::Unknown), 512u);
  EXPECT_GE(maxLineBytes(Verb::Rcpt), 512u + 28 + 507);
  EXPECT_EQ(maxLineBytes(Verb::Auth), 12'288u);
}

}  // namespace
}  // namespace sluice::smtp
