#include "relay/accept/trace_header.h"

#include <gtest/gtest.h>

namespace sluice::relay {
namespace {

TraceInfo info() {
  TraceInfo info;
  info.hello = "client.test";
  info.client = IpAddress::parse("192.0.2.1").value();
  info.hostname = "relay.test";
  info.id = "id1";
  info.at = WallTime(std::chrono::seconds(1'700'000'000));
  return info;
}

std::string received(const TraceInfo& info) {
  std::string out;
  appendReceived(out, info);
  return out;
}

TEST(TraceHeader, SaysWhoGaveUsWhatAndWhen) {
  TraceInfo given = info();
  given.only_recipient = "u@d.test";
  EXPECT_EQ(received(given),
            "Received: from client.test ([192.0.2.1])\r\n\tby relay.test with ESMTP id id1\r\n"
            "\tfor <u@d.test>; Tue, 14 Nov 2023 22:13:20 +0000\r\n");
}

TEST(TraceHeader, NamesTheProtocol) {
  struct Row {
    bool extended, tls, authenticated, smtputf8;
    std::string expected;
  };
  const Row rows[] = {{false, false, false, false, "SMTP"},  {true, false, false, false, "ESMTP"},
                      {true, true, false, false, "ESMTPS"},  {true, false, true, false, "ESMTPA"},
                      {true, true, true, false, "ESMTPSA"},  {true, false, false, true, "UTF8SMTP"},
                      {true, true, true, true, "UTF8SMTPSA"}};
  for (const Row& row : rows) {
    TraceInfo given = info();
    given.extended = row.extended;
    given.tls = row.tls;
    given.authenticated = row.authenticated;
    given.smtputf8 = row.smtputf8;
    EXPECT_NE(received(given).find(" with " + row.expected + " id "), std::string::npos);
  }
}

TEST(TraceHeader, SaysWhichTls) {
  TraceInfo given = info();
  given.tls = true;
  given.tls_version = "TLSv1.3";
  given.tls_cipher = "TLS_AES_128_GCM_SHA256";
  EXPECT_NE(received(given).find(" with ESMTPS (TLSv1.3 TLS_AES_128_GCM_SHA256) id "),
            std::string::npos);
}

TEST(TraceHeader, WritesIpv6AsALiteral) {
  TraceInfo given = info();
  given.client = IpAddress::parse("2001:db8::1").value();
  EXPECT_NE(received(given).find("([IPv6:2001:db8::1])"), std::string::npos);
}

TEST(TraceHeader, LetsTheClientsNameAddNothing) {
  for (const std::string name :
       {"a\r\nX: y", "a (b) by c; d", "\xff\x01", "<a@b>", "a\"b\\c", ""}) {
    std::string out;
    appendCleanName(out, name);
    EXPECT_EQ(out.find_first_of("\r\n ();<>@\"\\\xff\x01"), std::string::npos) << out;
    EXPECT_FALSE(out.empty());
  }
  std::string out;
  appendCleanName(out, std::string(10'000, 'a'));
  EXPECT_EQ(out.size(), 255u);
}

}  // namespace
}  // namespace sluice::relay
