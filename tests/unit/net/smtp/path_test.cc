#include "net/smtp/path.h"

#include <gtest/gtest.h>

namespace sluice::smtp {
namespace {

Result<Path> forward(std::string_view text, bool smtputf8 = false) {
  return takeForwardPath(text, smtputf8);
}
Result<Path> reverse(std::string_view text, bool smtputf8 = false) {
  return takeReversePath(text, smtputf8);
}

TEST(Path, SplitsAMailbox) {
  const auto path = forward("<Some.One@Example.COM>");
  ASSERT_TRUE(path);
  EXPECT_EQ(path->mailbox, "Some.One@Example.COM");
  EXPECT_EQ(path->local_part, "Some.One");
  EXPECT_EQ(path->domain, "Example.COM");
  EXPECT_FALSE(path->address_literal);
}

TEST(Path, LeavesWhatFollowsIt) {
  std::string_view text = "<a@b.test> SIZE=1";
  ASSERT_TRUE(takeReversePath(text, false));
  EXPECT_EQ(text, " SIZE=1");
}

TEST(Path, TakesTheNullReversePathButNoNullForwardPath) {
  ASSERT_TRUE(reverse("<>"));
  EXPECT_TRUE(reverse("<>")->null());
  EXPECT_FALSE(forward("<>"));
}

TEST(Path, TakesPostmasterWithoutDomainAsRecipientOnly) {
  ASSERT_TRUE(forward("<PostMaster>"));
  EXPECT_TRUE(forward("<PostMaster>")->bare());
  EXPECT_FALSE(reverse("<postmaster>"));
  EXPECT_FALSE(forward("<root>"));
  EXPECT_FALSE(forward("<\"postmaster\">"));
}

TEST(Path, TakesQuotedLocalParts) {
  for (const std::string text : {"<\"a b\"@b.test>", "<\"a@b\"@b.test>", "<\"a>b\"@b.test>",
                                 "<\"a\\\"b\"@b.test>", "<\"\"@b.test>", "<\"a\\\\\"@b.test>"}) {
    ASSERT_TRUE(forward(text)) << text;
    EXPECT_EQ(forward(text)->domain, "b.test") << text;
  }
}

TEST(Path, RefusesBrokenQuoting) {
  for (const std::string text :
       {"<\"a@b.test>", "<\"a\"b@b.test>", "<a\"b\"@b.test>", "<\"a\\\"@b.test>",
        "<\"a\tb\"@b.test>", "<\"a\\\x01\"@b.test>", "<\"a\"\"b\"@b.test>"}) {
    EXPECT_FALSE(forward(text)) << text;
  }
}

TEST(Path, TakesAddressLiterals) {
  for (const std::string text : {"<u@[192.0.2.1]>", "<u@[IPv6:2001:db8::1]>", "<u@[ipv6:::1]>"}) {
    ASSERT_TRUE(forward(text)) << text;
    EXPECT_TRUE(forward(text)->address_literal);
  }
}

TEST(Path, RefusesOtherLiterals) {
  for (const std::string text :
       {"<u@[]>", "<u@[192.0.2]>", "<u@[192.0.2.256]>", "<u@[192.0.2.1>", "<u@[2001:db8::1]>",
        "<u@[IPv6:192.0.2.1]>", "<u@[d.test]>", "<u@[192.0.2.1].test>", "<u@[192.0.2.01]>",
        "<u@[IPv6:fe80::1%eth0]>", "<u@[x:y]>"}) {
    EXPECT_FALSE(forward(text)) << text;
  }
}

TEST(Path, RefusesSourceRoutes) {
  EXPECT_FALSE(forward("<@relay.test:u@d.test>"));
  EXPECT_FALSE(forward("<@relay.test,@x.test:u@d.test>"));
  EXPECT_FALSE(reverse("<@relay.test:u@d.test>"));
}

TEST(Path, KeepsRoutesInDisguiseAsLocalParts) {
  for (const auto& [text, local, domain] :
       std::vector<std::tuple<std::string, std::string, std::string>>{
           {"<u%d.test@relay.test>", "u%d.test", "relay.test"},
           {"<d.test!u@relay.test>", "d.test!u", "relay.test"},
           {"<\"u@d.test\"@relay.test>", "\"u@d.test\"", "relay.test"},
           {"<=?utf-8?q?x=40evil.test=3e?=@d.test>", "=?utf-8?q?x=40evil.test=3e?=", "d.test"}}) {
    ASSERT_TRUE(forward(text)) << text;
    EXPECT_EQ(forward(text)->local_part, local);
    EXPECT_EQ(forward(text)->domain, domain);
    EXPECT_EQ(domainOf(forward(text)->mailbox), domain);
  }
}

TEST(Path, RefusesWhatIsNoMailbox) {
  for (const std::string text : {"",
                                 "u@d.test",
                                 "<u@d.test",
                                 "u@d.test>",
                                 "<u@>",
                                 "<@d.test>",
                                 "<u@d@relay.test>",
                                 "<u@d.test.>",
                                 "<u@.d.test>",
                                 "<u@d..test>",
                                 "<u@-d.test>",
                                 "<u@d-.test>",
                                 "<.u@d.test>",
                                 "<u.@d.test>",
                                 "<u..v@d.test>",
                                 "<u v@d.test>",
                                 "<u@d test>",
                                 "< u@d.test>",
                                 "<u@d.test >",
                                 "<u\t@d.test>",
                                 "<u@d\x01.test>",
                                 "<u@d.test\x7f>",
                                 "<u,v@d.test>",
                                 "<u@d:25>",
                                 "<<u@d.test>>",
                                 "<(c)u@d.test>",
                                 "<u@d.test,v@d.test>",
                                 "<\"u@d.test\">"}) {
    EXPECT_FALSE(forward(text)) << text;
  }
  EXPECT_FALSE(forward(std::string_view("<u\0@d.test>", 11)));
}

TEST(Path, HoldsTheLimitsOfTheStandard) {
  const std::string local64(64, 'l');
  EXPECT_TRUE(forward("<" + local64 + "@d.test>"));
  EXPECT_FALSE(forward("<" + local64 + "l@d.test>"));
  const std::string label63(63, 'd');
  EXPECT_TRUE(forward("<u@" + label63 + ".test>"));
  EXPECT_FALSE(forward("<u@" + label63 + "d.test>"));
  const std::string domain = label63 + "." + label63 + "." + label63 + ".";  // 192
  EXPECT_TRUE(forward("<u@" + domain + std::string(60, 'e') + ">"));         // path of 256
  EXPECT_FALSE(forward("<u@" + domain + std::string(61, 'e') + ">"));
  EXPECT_FALSE(forward("<u@" + std::string(1'000'000, 'a') + ">"));
}

TEST(Path, Takes8BitOnlyUnderSmtpUtf8) {
  const std::string text =
      "<gr\xc3\xbc\xc3\x9f@b\xc3\xbc"
      "cher.test>";
  EXPECT_FALSE(forward(text, false));
  EXPECT_TRUE(forward(text, true));
  EXPECT_TRUE(forward("<\"gr\xc3\xbc\"@d.test>", true));
}

TEST(Path, RefusesBrokenUtf8AndUnicodeLineEnds) {
  for (const std::string bytes :
       {"\xff", "\xc3", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc2\x85", "\xe2\x80\xa8",
        "\xe2\x80\xa9", "\xe0\x80\x80", "\x80"}) {
    EXPECT_FALSE(forward("<u" + bytes + "@d.test>", true));
    EXPECT_FALSE(forward("<\"u" + bytes + "\"@d.test>", true));
    EXPECT_FALSE(forward("<u@d" + bytes + ".test>", true));
  }
}

TEST(Path, TakesUnderscoresInDomains) { EXPECT_TRUE(forward("<u@my_host.test>")); }

TEST(DomainKey, IsLowerCaseWithoutTheLastDot) {
  EXPECT_EQ(domainKey("Example.COM").value(), "example.com");
  EXPECT_EQ(domainKey("example.com.").value(), "example.com");
  EXPECT_FALSE(domainKey("example.com.."));
  EXPECT_FALSE(domainKey("."));
  EXPECT_FALSE(domainKey(""));
}

TEST(DomainKey, ConvertsULabels) {
  EXPECT_EQ(domainKey("B\xc3\x9c"
                      "CHER.example")
                .value(),
            "xn--bcher-kva.example");
  EXPECT_EQ(domainKey("XN--BCHER-KVA.example").value(), "xn--bcher-kva.example");
  EXPECT_EQ(domainKey("stra\xc3\x9f"
                      "e.example")
                .value(),
            "xn--strae-oqa.example");  // not transitional
}

TEST(DomainKey, RefusesLookAlikesOfSeparators) {
  EXPECT_FALSE(
      domainKey("a\xef\xbc\xa0"
                "b.test"));  // fullwidth @
  EXPECT_FALSE(
      domainKey("a\xef\xbc\x8f"
                "b.test"));  // fullwidth /
  EXPECT_FALSE(domainKey("a\xff.test"));
}

TEST(DomainKey, WritesLiteralsInOneForm) {
  EXPECT_EQ(domainKey("[192.0.2.1]").value(), "[192.0.2.1]");
  EXPECT_EQ(domainKey("[IPv6:2001:DB8:0::1]").value(), "[2001:db8::1]");
  EXPECT_FALSE(domainKey("[d.test]"));
}

TEST(DomainKey, IgnoresTheLocale) { EXPECT_EQ(domainKey("MAIL.INFO").value(), "mail.info"); }

}  // namespace
}  // namespace sluice::smtp
