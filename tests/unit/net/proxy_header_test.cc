#include "net/proxy_header.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::net {
namespace {

using namespace std::string_literals;
using testing::HasSubstr;

const std::string kSignature = "\r\n\r\n\0\r\nQUIT\n"s;

std::string binary(uint8_t command, uint8_t family, const std::string& body) {
  std::string out = kSignature;
  out.push_back(static_cast<char>(command));
  out.push_back(static_cast<char>(family));
  out.push_back(static_cast<char>(body.size() >> 8));
  out.push_back(static_cast<char>(body.size() & 0xff));
  return out + body;
}

const std::string kV4Body = "\xc0\x00\x02\x07\xc6\x33\x64\x01\x12\x34\x00\x19"s;
const std::string kV6Body =
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\x30\x39\x00\x19"s;

// "192.0.2.7:4660 -> 198.51.100.1:25", "nobody", "more", or what is wrong.
std::string outcome(ProxyHeaderParser& parser, std::string_view& input) {
  const auto header = parser.feed(input);
  if (!header) return header.error().detail;
  if (!*header) return "more";
  if (!(*header)->known) return "nobody";
  return (*header)->source.toString() + " -> " + (*header)->destination.toString();
}

std::string read(std::string_view input) {
  ProxyHeaderParser parser;
  return outcome(parser, input);
}

TEST(ProxyHeader, TellsWhoIsBehindALineOfText) {
  EXPECT_EQ(read("PROXY TCP4 192.0.2.7 198.51.100.1 4660 25\r\n"),
            "192.0.2.7:4660 -> 198.51.100.1:25");
  EXPECT_EQ(read("PROXY TCP6 2001:db8::1 2001:db8::2 65535 25\r\n"),
            "[2001:db8::1]:65535 -> [2001:db8::2]:25");
}

TEST(ProxyHeader, TellsWhoIsBehindABinaryHeader) {
  EXPECT_EQ(read(binary(0x21, 0x11, kV4Body)), "192.0.2.7:4660 -> 198.51.100.1:25");
  EXPECT_EQ(read(binary(0x21, 0x21, kV6Body)), "[2001:db8::1]:12345 -> [2001:db8::2]:25");
}

TEST(ProxyHeader, KnowsNobodyWhereTheProxySpeaksForItselfOrCannotSay) {
  EXPECT_EQ(read("PROXY UNKNOWN\r\n"), "nobody");
  EXPECT_EQ(read("PROXY UNKNOWN ffff::1 whatever 1 2 3\r\n"), "nobody");
  EXPECT_EQ(read(binary(0x20, 0x11, kV4Body)), "nobody");                // LOCAL
  EXPECT_EQ(read(binary(0x20, 0x00, "")), "nobody");                     // LOCAL
  EXPECT_EQ(read(binary(0x21, 0x00, "tlv")), "nobody");                  // UNSPEC
  EXPECT_EQ(read(binary(0x21, 0x12, kV4Body)), "nobody");                // UDP
  EXPECT_EQ(read(binary(0x21, 0x31, std::string(216, 'x'))), "nobody");  // a Unix socket
}

TEST(ProxyHeader, StepsOverWhatIsBehindTheAddressesAndTakesNothingMore) {
  for (const size_t extra : {size_t{0}, size_t{7}, size_t{65535} - kV4Body.size()}) {
    const std::string whole =
        binary(0x21, 0x11, kV4Body + std::string(extra, '\x04')) + "EHLO a.test\r\n";
    std::string_view input = whole;
    ProxyHeaderParser parser;
    EXPECT_EQ(outcome(parser, input), "192.0.2.7:4660 -> 198.51.100.1:25");
    EXPECT_EQ(input, "EHLO a.test\r\n");
  }
  std::string_view text = "PROXY TCP4 192.0.2.7 198.51.100.1 4660 25\r\n\x16\x03";
  ProxyHeaderParser parser;
  EXPECT_EQ(outcome(parser, text), "192.0.2.7:4660 -> 198.51.100.1:25");
  EXPECT_EQ(text, "\x16\x03");
}

TEST(ProxyHeader, ReadsTheSameInEverySegmentation) {
  const std::vector<std::string> headers{"PROXY TCP4 192.0.2.7 198.51.100.1 4660 25\r\n",
                                         binary(0x21, 0x11, kV4Body + "tlv tlv"),
                                         binary(0x21, 0x21, kV6Body)};
  for (const std::string& header : headers) {
    const std::string wanted = read(header);
    for (size_t cut = 0; cut <= header.size(); ++cut) {
      ProxyHeaderParser parser;
      const std::string first = header.substr(0, cut);
      const std::string second = header.substr(cut) + "rest";
      std::string_view input = first;
      if (cut < header.size()) {
        EXPECT_EQ(outcome(parser, input), "more") << cut;
        input = second;
      }
      EXPECT_EQ(outcome(parser, input), wanted) << cut;
      EXPECT_EQ(input, cut < header.size() ? "rest" : "") << cut;
    }
    ProxyHeaderParser parser;
    std::string last;
    for (const char c : header) {
      const std::string byte(1, c);
      std::string_view input = byte;
      last = outcome(parser, input);
    }
    EXPECT_EQ(last, wanted);
  }
}

TEST(ProxyHeader, RefusesLinesThatAreNone) {
  for (const std::string& line : {"EHLO client.test\r\n"s,
                                  "proxy TCP4 192.0.2.7 198.51.100.1 1 2\r\n"s,
                                  "PROXY\r\n"s,
                                  "PROXY \r\n"s,
                                  "PROXY TCP5 1 2 3 4\r\n"s,
                                  "PROXY TCP4\r\n"s,
                                  "PROXY TCP4 192.0.2.7 198.51.100.1 1 2\n"s,
                                  "PROXY TCP4 192.0.2.7 198.51.100.1 1\r\n"s,
                                  "PROXY TCP4 192.0.2.7 198.51.100.1 1 2 3\r\n"s,
                                  "PROXY TCP4 192.0.2.7 198.51.100.1 1 2 \r\n"s,
                                  "PROXY TCP4  192.0.2.7 198.51.100.1 1 2\r\n"s,
                                  "PROXY TCP4 192.0.2.7 198.51.100.1 65536 2\r\n"s,
                                  "PROXY TCP4 192.0.2.7 198.51.100.1 -1 2\r\n"s,
                                  "PROXY TCP4 192.0.2.7 198.51.100.1 01 2\r\n"s,
                                  "PROXY TCP4 192.0.2.7 198.51.100.1 +1 2\r\n"s,
                                  "PROXY TCP4 2001:db8::1 ::2 1 2\r\n"s,
                                  "PROXY TCP4 192.0.2 198.51.100.1 1 2\r\n"s,
                                  "PROXY TCP4 host.test 198.51.100.1 1 2\r\n"s,
                                  "PROXY TCP4 192.0.2.7\0 198.51.100.1 1 2\r\n"s,
                                  "PROXYTCP4 192.0.2.7 1.1.1.1 1 2\r\n"s,
                                  "PROXY UNKNOWN" + std::string(200, ' ') + "\r\n",
                                  "\x16\x03\x01\x02"s,
                                  "\n"s,
                                  "\0"s}) {
    EXPECT_THAT(read(line), HasSubstr("PROXY header")) << line;
  }
}

TEST(ProxyHeader, RefusesBinaryHeadersThatAreNone) {
  for (const std::string& header :
       {binary(0x11, 0x11, kV4Body), binary(0x31, 0x11, kV4Body), binary(0x22, 0x11, kV4Body),
        binary(0x2f, 0x11, kV4Body), binary(0x21, 0x11, kV4Body.substr(0, 11)),
        binary(0x21, 0x21, kV6Body.substr(0, 35)), binary(0x21, 0x11, ""),
        "\r\n\r\n\0\r\nQUIT\r"s + std::string(20, 'x'), "\r\nEHLO a\r\n"s}) {
    EXPECT_THAT(read(header), HasSubstr("PROXY header")) << testing::PrintToString(header);
  }
}

TEST(ProxyHeader, DecidesWithoutWaitingForMoreThanALine) {
  EXPECT_EQ(read("PROXY TCP4 192.0.2.7 "), "more");
  EXPECT_THAT(read("PROXX"), HasSubstr("PROXY header"));
  EXPECT_THAT(read("PROXY TCP4 " + std::string(96, '1')), HasSubstr("PROXY header"));
  EXPECT_EQ(read(kSignature), "more");
  EXPECT_THAT(read("\r\n\r\n\1"), HasSubstr("PROXY header"));
}

}  // namespace
}  // namespace sluice::net
