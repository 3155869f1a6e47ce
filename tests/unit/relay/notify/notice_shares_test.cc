// How the recipients of a report are shared out among notices.
#include <gtest/gtest.h>

#include <set>

#include "relay/notify/notices.h"

namespace sluice::relay {
namespace {

struct Shares : testing::Test {
  queue::Envelope envelope;
  std::vector<RecipientReport> reports;

  void add(std::string path) {
    envelope.recipients.push_back({std::move(path), {}, {}});
    RecipientReport report;
    report.recipient = static_cast<uint16_t>(reports.size());
    report.status = "5.1.1";
    report.remote_mta = "mx.example.net";
    report.diagnostic =
        "550 5.1.1 no such user, and a text of some length behind it " + std::string(400, 'x');
    report.last_attempt = WallTime{std::chrono::seconds(1'795'507'292)};
    reports.push_back(std::move(report));
  }
  // Each recipient is named in exactly one notice, and each notice is small.
  void expectAllNamed() {
    envelope.reverse_path = "alice@example.com";
    NoticeSettings settings;
    settings.hostname = "relay.example.com";
    std::multiset<std::string> named;
    for (const auto& share : noticeShares(envelope, reports)) {
      ASSERT_FALSE(share.empty());
      EXPECT_LE(share.size(), kMaxReportedRecipients);
      const std::string text =
          makeNotice(NoticeKind::Failure, settings, queue::MessageId(), envelope,
                     "Subject: x\r\n\r\n" + std::string(30'000, 'b') + "\r\n", true, share,
                     WallTime{}, "unique")
              .content.flatten();
      EXPECT_LE(text.size(), 64u * 1024);
      EXPECT_EQ(text.find("X-Sluice-Unnamed-Recipients"), std::string::npos);
      const std::string field = "Final-Recipient:";
      for (size_t at = text.find(field); at != std::string::npos; at = text.find(field, at + 1)) {
        named.insert(text.substr(at, text.find("Action:", at) - at));
      }
    }
    EXPECT_EQ(named.size(), reports.size());
    EXPECT_EQ(std::set<std::string>(named.begin(), named.end()).size(), reports.size());
  }
};

TEST_F(Shares, OfAFewRecipientsAreOne) {
  for (int i = 0; i < 100; ++i) add("r" + std::to_string(i) + "@example.net");
  EXPECT_EQ(noticeShares(envelope, reports).size(), 1u);
  expectAllNamed();
}

TEST_F(Shares, HoldAHundredRecipientsAtMost) {
  for (int i = 0; i < 1000; ++i) add("r" + std::to_string(i) + "@example.net");
  EXPECT_EQ(noticeShares(envelope, reports).size(), 10u);
  expectAllNamed();
}

TEST_F(Shares, NameEachOfManyLongAddresses) {
  for (int i = 0; i < 300; ++i) add(std::to_string(i) + std::string(240, 'a') + "@example.net");
  expectAllNamed();
}

TEST_F(Shares, NameEachOfManyAddressesThatNeedEscapes) {
  for (int i = 0; i < 300; ++i) {
    std::string path = std::to_string(i);
    for (int j = 0; j < 60; ++j) path += "\xc3\xbc";
    add(path + "@example.net");
  }
  expectAllNamed();
}

TEST_F(Shares, OfNobodyAreNone) { EXPECT_TRUE(noticeShares(envelope, {}).empty()); }

}  // namespace
}  // namespace sluice::relay
