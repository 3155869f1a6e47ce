// Relaxed bodies: RFC 6376 section 3.4.4 with its examples, and every way to cut them in pieces.
#include "relay/sign/body_hash.h"

#include <gtest/gtest.h>

#include <string>

namespace sluice::relay {
namespace {

net::Sha256Digest hashOf(std::string_view body) {
  BodyHash hash;
  hash.append(body);
  return hash.finish();
}

void expectRelaxed(const std::string& body, const std::string& relaxed) {
  EXPECT_EQ(hashOf(body), net::sha256(relaxed)) << body;
  for (size_t cut = 1; cut < body.size(); ++cut) {
    BodyHash hash;
    hash.append(std::string_view(body).substr(0, cut));
    hash.append(std::string_view(body).substr(cut));
    EXPECT_EQ(hash.finish(), net::sha256(relaxed)) << body << " cut at " << cut;
  }
  BodyHash hash;
  for (const char c : body) hash.append({&c, 1});
  EXPECT_EQ(hash.finish(), net::sha256(relaxed)) << body << " byte by byte";
}

TEST(BodyHash, IsThatOfTheExampleOfRfc8463) {
  const auto digest = hashOf("Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n");
  EXPECT_EQ(net::base64Encode(net::asView(digest)), "2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=");
}

TEST(BodyHash, TakesTheExampleOfRfc6376) {
  expectRelaxed(" C \r\nD \t E\r\n\r\n\r\n", " C\r\nD E\r\n");
}

TEST(BodyHash, OfAnEmptyBodyIsThatOfNothing) {
  EXPECT_EQ(net::base64Encode(net::asView(hashOf(""))),
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");  // RFC 6376 section 3.4.4
  expectRelaxed("\r\n", "");
  expectRelaxed("\r\n\r\n\r\n", "");
  expectRelaxed(" \t \r\n \r\n", "");
}

TEST(BodyHash, EndsInOneLineEnd) {
  expectRelaxed("x", "x\r\n");
  expectRelaxed("x\r\n", "x\r\n");
  expectRelaxed("x\r\n\r\n \t\r\n", "x\r\n");
  expectRelaxed("x \t", "x\r\n");
  expectRelaxed("\r\n\r\nx", "\r\n\r\nx\r\n");
}

TEST(BodyHash, LeavesBytesThatAreNoSpacesAlone) {
  expectRelaxed(
      "a\x0b"
      "b\x0c\xa0\xff"
      "c\r\n",
      "a\x0b"
      "b\x0c\xa0\xff"
      "c\r\n");
  expectRelaxed("a\rb\r\r\nc \r d\r", "a\rb\r\r\nc \r d\r\r\n");
  expectRelaxed(".\r\n..\r\n", ".\r\n..\r\n");
}

TEST(BodyHash, OfALargeBodyIsRight) {
  std::string body, relaxed;
  for (int line = 0; line < 3000; ++line) {
    body += "line  " + std::to_string(line) + "\t" + std::string(line % 97, 'x') + " \r\n";
    relaxed += "line " + std::to_string(line) + (line % 97 ? " " : "") +
               std::string(line % 97, 'x') + "\r\n";
  }
  EXPECT_EQ(hashOf(body), net::sha256(relaxed));
}

}  // namespace
}  // namespace sluice::relay
