#include "relay/report/tls_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <nlohmann/json.hpp>

#include "net/tls/crypto.h"
#include "relay/report/gzip.h"

namespace sluice::relay {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

Errc codeOf(const std::vector<std::string>& texts) {
  const auto wishes = readReportRecord(texts);
  EXPECT_FALSE(wishes);
  return wishes ? Errc::Exists : wishes.error().code;
}

// RFC 8460 section 3.
TEST(ReportRecord, NamesWhoTakesReports) {
  auto wishes = readReportRecord({"other", "v=TLSRPTv1; rua=mailto:reports@example.com"});
  ASSERT_TRUE(wishes);
  EXPECT_THAT(wishes->mailboxes, ElementsAre("reports@example.com"));
  EXPECT_THAT(wishes->urls, IsEmpty());
  wishes = readReportRecord(
      {"v=TLSRPTv1;rua = https://r.example.com/v1 , MAILTO:a%2Bb@example.com?subject=x;ext=1;"});
  ASSERT_TRUE(wishes);
  EXPECT_THAT(wishes->mailboxes, ElementsAre("a+b@example.com"));
  EXPECT_THAT(wishes->urls, ElementsAre("https://r.example.com/v1"));
}

TEST(ReportRecord, IsNoneIfThereAreSeveralOrAnotherVersion) {
  EXPECT_EQ(codeOf({}), Errc::NotFound);
  EXPECT_EQ(codeOf({"v=TLSRPTv2; rua=mailto:a@b.test"}), Errc::NotFound);
  EXPECT_EQ(codeOf({"v=TLSRPTv1; rua=mailto:a@b.test", "v=TLSRPTv1; rua=mailto:c@d.test"}),
            Errc::NotFound);
}

// Whoever writes a record must not choose more than where the report goes.
TEST(ReportRecord, IsHeldToMailboxesAndBounds) {
  EXPECT_EQ(codeOf({"v=TLSRPTv1"}), Errc::Malformed);
  EXPECT_EQ(codeOf({"v=TLSRPTv1; rua=mailto:nobody"}), Errc::Malformed);
  EXPECT_EQ(codeOf({"v=TLSRPTv1; rua=mailto:a@b.test%0d%0aBcc:x@y.test"}), Errc::Malformed);
  EXPECT_EQ(codeOf({"v=TLSRPTv1; rua=http://b.test/"}), Errc::Malformed);
  EXPECT_EQ(codeOf({"v=TLSRPTv1; rua=mailto:" + std::string(1000, 'a') + "@b.test"}),
            Errc::Malformed);
  std::string many = "v=TLSRPTv1; rua=mailto:a@b.test";
  for (int i = 0; i < 100; ++i) many += ",mailto:a" + std::to_string(i) + "@b.test";
  EXPECT_LE(readReportRecord({many})->mailboxes.size(), 4u);
}

TlsReportFacts someFacts() {
  return {"Example Inc.",
          "tls@example.com",
          "tls@example.com",
          "relay.example.com",
          {Day{std::chrono::days(20'000)}, "there.test"},
          WallTime(std::chrono::seconds(1'728'100'000))};
}

TlsTallies someTallies() {
  TlsTallies tallies;
  TlsTally& tally = tallies[TlsResult::Policy::Tlsa];
  tally.policy_lines = {"_25._tcp.mx.there.test. IN TLSA 3 1 1 ab"};
  tally.successes = 5;
  tally.failures = 2;
  tally.details.push_back({TlsResult::Type::ValidationFailure, "192.0.2.1", "192.0.2.2",
                           "mx.there.test", "no TLSA record", 2});
  tallies[TlsResult::Policy::NoneFound].successes = 1;
  return tallies;
}

// RFC 8460 section 4.4.
TEST(TlsReport, SaysWhatTheStandardAsksFor) {
  const json report = json::parse(makeReportJson(someFacts(), someTallies()));
  EXPECT_EQ(report.at("organization-name"), "Example Inc.");
  EXPECT_EQ(report.at("date-range").at("start-datetime"), "2024-10-04T00:00:00Z");
  EXPECT_EQ(report.at("date-range").at("end-datetime"), "2024-10-04T23:59:59Z");
  EXPECT_EQ(report.at("contact-info"), "tls@example.com");
  EXPECT_EQ(report.at("report-id"), someFacts().id());
  ASSERT_EQ(report.at("policies").size(), 2u);
  const json& none = report.at("policies")[0];
  EXPECT_EQ(none.at("policy").at("policy-type"), "no-policy-found");
  EXPECT_FALSE(none.at("policy").contains("policy-string"));
  const json& tlsa = report.at("policies")[1];
  EXPECT_EQ(tlsa.at("policy").at("policy-type"), "tlsa");
  EXPECT_EQ(tlsa.at("policy").at("policy-domain"), "there.test");
  EXPECT_EQ(tlsa.at("policy").at("policy-string")[0], "_25._tcp.mx.there.test. IN TLSA 3 1 1 ab");
  EXPECT_EQ(tlsa.at("summary").at("total-successful-session-count"), 5);
  EXPECT_EQ(tlsa.at("summary").at("total-failure-session-count"), 2);
  const json& detail = tlsa.at("failure-details")[0];
  EXPECT_EQ(detail.at("result-type"), "validation-failure");
  EXPECT_EQ(detail.at("sending-mta-ip"), "192.0.2.1");
  EXPECT_EQ(detail.at("receiving-mx-hostname"), "mx.there.test");
  EXPECT_EQ(detail.at("failed-session-count"), 2);
}

TEST(TlsReport, HasOneIdForOneDayAndDomain) {
  TlsReportFacts facts = someFacts();
  const std::string id = facts.id();
  facts.now += std::chrono::hours(3);
  EXPECT_EQ(facts.id(), id);
  facts.entry.second = "other.test";
  EXPECT_NE(facts.id(), id);
}

// RFC 8460 section 5.3.
TEST(TlsReport, TravelsAsMail) {
  const std::string mail = makeReportMail(someFacts(), "reports@there.test", "compressed");
  EXPECT_THAT(mail, StartsWith("From: <tls@example.com>\r\nTo: <reports@there.test>\r\n"));
  EXPECT_THAT(mail, HasSubstr("\r\nTLS-Report-Domain: there.test\r\n"));
  EXPECT_THAT(mail, HasSubstr("\r\nTLS-Report-Submitter: example.com\r\n"));
  EXPECT_THAT(mail, HasSubstr("\r\nTLS-Required: No\r\n"));
  EXPECT_THAT(mail, HasSubstr("multipart/report; report-type=\"tlsrpt\""));
  EXPECT_THAT(mail, HasSubstr("Content-Type: application/tlsrpt+gzip\r\n"));
  EXPECT_THAT(mail, HasSubstr("example.com!there.test!1728000000!1728086399!"));
  EXPECT_THAT(mail, HasSubstr("\r\n" + net::base64Encode("compressed") + "\r\n"));
}

TEST(Gzip, IsUndoneByZlib) {
  const std::string text = makeReportJson(someFacts(), someTallies());
  const std::string packed = *gzip(text);
  EXPECT_LT(packed.size(), text.size());
  std::string unpacked(text.size() + 100, '\0');
  z_stream stream{};
  ASSERT_EQ(inflateInit2(&stream, 15 + 16), Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = reinterpret_cast<Bytef*>(unpacked.data());
  stream.avail_out = static_cast<uInt>(unpacked.size());
  EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
  unpacked.resize(unpacked.size() - stream.avail_out);
  inflateEnd(&stream);
  EXPECT_EQ(unpacked, text);
}

}  // namespace
}  // namespace sluice::relay
