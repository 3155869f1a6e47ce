// Relaxed header fields: RFC 6376 section 3.4.2, odd fields, bounds, every way to cut them.
#include "relay/sign/header_fields.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace sluice::relay {
namespace {

using testing::ElementsAre;

std::string joined(const HeaderFields& header) {
  std::string all;
  for (const auto& field : header.fields()) all += header.text(field);
  return all;
}

// The covered fields, relaxed; the same however the header comes in. `rest`: what is behind it.
std::string relaxed(const std::string& content, const std::string& rest = "body") {
  HeaderFields header;
  std::string_view whole = content;
  EXPECT_EQ(header.feed(whole), whole.data() != content.data() + content.size() || !rest.empty());
  EXPECT_EQ(whole, rest);
  header.finish();
  const std::string all = joined(header);
  HeaderFields bytewise;
  size_t at = 0;
  for (bool over = false; at < content.size() && !over; ++at) {
    std::string_view one = std::string_view(content).substr(at, 1);
    over = bytewise.feed(one);
  }
  bytewise.finish();
  EXPECT_EQ(joined(bytewise), all);
  EXPECT_EQ(content.substr(at), rest);
  return all;
}

TEST(HeaderFields, TakesTheExampleOfRfc6376) {
  EXPECT_EQ(relaxed("Subject: X\r\nTo : Y\t\r\n\tZ  \r\n\r\nbody"), "subject:X\r\nto:Y Z\r\n");
}

TEST(HeaderFields, UnfoldsAndTrims) {
  EXPECT_EQ(relaxed("SUBJECT \t:  a \t b \r\n \r\n\t c\t \r\n\r\nbody"), "subject:a b c\r\n");
  EXPECT_EQ(relaxed("subject:\r\n\r\nbody"), "subject:\r\n");
  EXPECT_EQ(relaxed("subject:   \r\n \t\r\nFrom:x\r\n\r\nbody"), "subject:\r\nfrom:x\r\n");
  EXPECT_EQ(relaxed("Subject: \xc3\xbc\xff : x\r\n\r\nbody"), "subject:\xc3\xbc\xff : x\r\n");
}

TEST(HeaderFields, PassesOverWhatIsNotCovered) {
  EXPECT_EQ(
      relaxed(
          "Received: from x\r\n\tby y\r\nX-From: a\r\nFrom: b\r\nBcc: c\r\n From: d\r\n\r\nbody"),
      "from:b\r\n");
  EXPECT_EQ(relaxed("no field\r\nFrom: b\r\n: empty\r\nTo x: c\r\n\r\nbody"), "from:b\r\n");
  EXPECT_EQ(relaxed(" folded first\r\nFrom: b\r\n\r\nbody"), "from:b\r\n");
  EXPECT_EQ(relaxed(std::string(5000, 'n') + ": a\r\nFrom: b\r\n\r\nbody"), "from:b\r\n");
}

TEST(HeaderFields, EndsWithTheContent) {
  EXPECT_EQ(relaxed("From: b\r\n\r\n", ""), "from:b\r\n");
  HeaderFields header;
  std::string_view content = "To: c\r\nFrom: b";
  EXPECT_FALSE(header.feed(content));
  header.finish();
  EXPECT_EQ(joined(header), "to:c\r\nfrom:b\r\n");
  HeaderFields none;
  content = "\r\nFrom: b\r\n";
  EXPECT_TRUE(none.feed(content));
  EXPECT_TRUE(none.fields().empty());
}

TEST(HeaderFields, KnowsTheOneFrom) {
  const auto from = [](std::string_view content) {
    HeaderFields header;
    header.feed(content);
    header.finish();
    return std::string(header.from());
  };
  EXPECT_EQ(from("To: x\r\nFROM:  a\r\n\tb \r\n\r\n"), "a b");
  EXPECT_EQ(from("To: x\r\n\r\n"), "");
  EXPECT_EQ(from("From: x\r\nfrom: y\r\n\r\n"), "");
  EXPECT_EQ(from("From:\r\nfrom: y\r\n\r\n"), "");
}

TEST(HeaderFields, ManyOrHugeFieldsOverflow) {
  const auto overflows = [](const std::string& content) {
    HeaderFields header;
    std::string_view bytes = content;
    header.feed(bytes);
    header.finish();
    return header.overflowed();
  };
  EXPECT_FALSE(overflows("Subject: " + std::string(200'000, 'x') + "\r\n\r\n"));
  EXPECT_TRUE(overflows("Subject: " + std::string(300'000, 'x') + "\r\n\r\n"));
  EXPECT_FALSE(overflows("X-Other: " + std::string(300'000, 'x') + "\r\n\r\n"));
  std::string many;
  for (int i = 0; i < 100; ++i) many += "To: a\r\n";
  EXPECT_FALSE(overflows(many + "\r\n"));
  EXPECT_TRUE(overflows(many + "To: a\r\n\r\n"));
}

}  // namespace
}  // namespace sluice::relay
