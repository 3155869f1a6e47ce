#include "relay/deliver/mta_sts_policy.h"

#include <gmock/gmock.h>

namespace sluice::relay {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using Mode = DomainTlsPolicy::Mode;

TEST(MtaStsRecord, NamesTheIdOfItsPolicy) {
  EXPECT_EQ(mtaStsId({"v=STSv1; id=20160831085700Z;"}), "20160831085700Z");
  EXPECT_EQ(mtaStsId({"v=STSv1;id=a"}), "a");
  EXPECT_EQ(mtaStsId({"v=STSv1 ;\t id=a ; x-y.z=b; "}), "a");
  EXPECT_EQ(mtaStsId({"v=spf1 -all", "v=STSv1; id=a", "google-site-verification=x"}), "a");
}

TEST(MtaStsRecord, IsNoneIfItIsNotOfTheRightForm) {
  const std::vector<std::vector<std::string>> none = {
      {},
      {""},
      {"v=STSv1"},
      {"v=STSv10; id=a"},
      {"v=stsv1; id=a"},
      {" v=STSv1; id=a"},
      {"id=a; v=STSv1"},
      {"v=STSv1;"},
      {"v=STSv1; id="},
      {"v=STSv1; id=a-b"},
      {"v=STSv1; id=" + std::string(33, 'a')},
      {"v=STSv1; id"},
      {"v=STSv1; ;id=a"},
      {"v=STSv1; id=a", "v=STSv1; id=b"},
      {std::string("v=STSv1; id=a\0", 14)},
  };
  for (const auto& texts : none) {
    EXPECT_FALSE(mtaStsId(texts)) << (texts.empty() ? "" : texts.front());
  }
}

const std::string kGood =
    "version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.Example.NET\r\nmax_age: "
    "604800\r\n";

TEST(MtaStsPolicy, IsRead) {
  const auto policy = parseMtaStsPolicy(kGood);
  ASSERT_TRUE(policy) << policy.error().detail;
  EXPECT_EQ(policy->mode, Mode::Enforce);
  EXPECT_THAT(policy->mx, ElementsAre("mail.example.com", "*.example.net"));
  EXPECT_EQ(policy->max_age, 604800s);
  EXPECT_THAT(policy->lines, ElementsAre("version: STSv1", "mode: enforce", "mx: mail.example.com",
                                         "mx: *.example.net", "max_age: 604800"));
}

TEST(MtaStsPolicy, MayBeWrittenInOtherWays) {
  EXPECT_TRUE(parseMtaStsPolicy("mx:a.test\nmax_age:1 \nmode: \ttesting\n\nversion:STSv1"));
  EXPECT_TRUE(parseMtaStsPolicy("version: STSv1\nmode: none\nmax_age: 0\n")) << "none needs no mx";
  const auto more = parseMtaStsPolicy(
      "version: STSv1\nmode: testing\nmode: enforce\nx-new: \xc3\xa4;\nmx: a.test\n"
      "max_age: 9999999999\nmax_age: x\n");
  ASSERT_TRUE(more) << "unknown fields and repeated ones are passed over: " << more.error().detail;
  EXPECT_EQ(more->mode, Mode::Testing) << "the first one counts";
  EXPECT_EQ(more->max_age, kMaxPolicyAge);
}

TEST(MtaStsPolicy, IsBrokenIfAnythingIsNotOfTheRightForm) {
  const std::string bad[] = {
      "",
      "\n\n",
      "<html>404</html>",
      "version: STSv2\nmode: enforce\nmx: a.test\nmax_age: 1\n",
      "mode: enforce\nmx: a.test\nmax_age: 1\n",
      "version: STSv1\nmx: a.test\nmax_age: 1\n",
      "version: STSv1\nmode: enforce\nmax_age: 1\n",
      "version: STSv1\nmode: enforce\nmx: a.test\n",
      "version: STSv1\nmode: Enforce\nmx: a.test\nmax_age: 1\n",
      "version: STSv1\nmode: enforce\nmx: \nmax_age: 1\n",
      "version: STSv1\nmode: enforce\nmx: *\nmax_age: 1\n",
      "version: STSv1\nmode: enforce\nmx: a.*.test\nmax_age: 1\n",
      "version: STSv1\nmode: enforce\nmx: .a.test\nmax_age: 1\n",
      "version: STSv1\nmode: enforce\nmx: a.test b.test\nmax_age: 1\n",
      "version: STSv1\nmode: enforce\nmx: 192.0.2.1\nmax_age: 1\n",
      "version: STSv1\nmode: enforce\nmx: a.test\nmax_age: -1\n",
      "version: STSv1\nmode: enforce\nmx: a.test\nmax_age: 1d\n",
      "version: STSv1\nmode: enforce\nmx: a.test\nmax_age: 12345678901\n",
      "version: STSv1\nmode: enforce\nmx: a.test\nmax_age: 1\nnonsense\n",
      "version: STSv1\nmode: enforce\nmx: a.test\nmax_age: 1\n: x\n",
      "version: STSv1\rmode: enforce\rmx: a.test\rmax_age: 1\r",
      "version: STSv1\nmode: enforce\nmx: a.test\nmax_age: 1\nx: \x1b[2J\n",
      kGood + std::string(70'000, '\n'),
  };
  for (const std::string& text : bad) EXPECT_FALSE(parseMtaStsPolicy(text)) << text.substr(0, 200);
  std::string many = kGood;
  for (size_t i = 0; i < kMaxMxPatterns; ++i) many += "mx: a.test\n";
  EXPECT_FALSE(parseMtaStsPolicy(many));
}

net::HttpAnswer answer(int status, const std::string& type, const std::string& body) {
  net::HttpAnswer made;
  made.status = status;
  if (!type.empty()) made.headers = {{"content-type", type}};
  made.body = body;
  return made;
}

TEST(MtaStsPolicy, ComesAsPlainTextWithStatus200) {
  EXPECT_TRUE(readMtaStsAnswer(answer(200, "text/plain", kGood)));
  EXPECT_TRUE(readMtaStsAnswer(answer(200, "Text/Plain ; charset=utf-8", kGood)));
  for (const int status : {201, 204, 301, 302, 307, 404, 500}) {
    EXPECT_FALSE(readMtaStsAnswer(answer(status, "text/plain", kGood))) << status;
  }
  for (const char* type : {"", "text/html", "text/plainly", "application/octet-stream"}) {
    EXPECT_FALSE(readMtaStsAnswer(answer(200, type, kGood))) << type;
  }
  net::HttpAnswer cut = answer(200, "text/plain", kGood);
  cut.until_close = true;
  EXPECT_THAT(readMtaStsAnswer(cut).error().detail, HasSubstr("where the policy ends"));
}

TEST(MtaStsPolicy, CoversTheHostsOfItsPatterns) {
  DomainTlsPolicy policy;
  policy.mx_patterns = {"mail.example.com", "*.example.net"};
  EXPECT_TRUE(policy.covers("mail.example.com"));
  EXPECT_TRUE(policy.covers("a.example.net"));
  for (const char* other : {"example.com", "a.mail.example.com", "example.net", "a.b.example.net",
                            "aexample.net", ".example.net", ""}) {
    EXPECT_FALSE(policy.covers(other)) << other;
  }
}

}  // namespace
}  // namespace sluice::relay
