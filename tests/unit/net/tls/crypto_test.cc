#include "net/tls/crypto.h"

#include <gtest/gtest.h>

#include <set>

namespace sluice::net {
namespace {

std::string hex(const Sha256Digest& digest) { return hexEncode(asView(digest)); }

TEST(Crypto, DigestsTheStandardsExamples) {
  EXPECT_EQ(hex(sha256("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hex(sha256("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hex(hmacSha256("Jefe", "what do ya want for nothing?")),  // RFC 4231 §4.3
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST(Crypto, HashesPasswordsAsTheStandardsSay) {
  EXPECT_EQ(hex(pbkdf2Sha256("password", "salt", 4096).value()),
            "c5e478d59288c841aa530db6845c4c8d962893a001ce4e11a4963873aa98134a");
  // RFC 7914 §12, the first 32 bytes.
  EXPECT_EQ(hex(scrypt("password", "NaCl", 1024, 8, 16).value()),
            "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162");
}

TEST(Crypto, RefusesParametersThatAreOutOfRange) {
  EXPECT_FALSE(pbkdf2Sha256("password", "salt", 0).has_value());
  EXPECT_FALSE(scrypt("password", "salt", 1000, 8, 1).has_value());        // no power of two
  EXPECT_FALSE(scrypt("password", "salt", 1 << 20, 1024, 1).has_value());  // too much memory
}

TEST(Crypto, ComparesWhole) {
  EXPECT_TRUE(constantTimeEqual("token", "token"));
  EXPECT_TRUE(constantTimeEqual("", ""));
  EXPECT_FALSE(constantTimeEqual("token", "tokem"));
  EXPECT_FALSE(constantTimeEqual("token", "toke"));
}

TEST(Crypto, EncodesAndDecodesBase64) {
  const std::pair<std::string, std::string> examples[] = {
      {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {std::string("\0\xff", 2), "AP8="}};
  for (const auto& [bytes, text] : examples) {
    EXPECT_EQ(base64Encode(bytes), text);
    EXPECT_EQ(base64Decode(text).value(), bytes);
  }
}

TEST(Crypto, TakesOneSpellingOfBase64Only) {
  for (const char* text : {"Z", "Zg", "Zg=", "Zg===", "Zh==", "Zm9v\n", " Zm9v",
                           "Zm9v=", "====", "Zm-_", "=", "Zg==Zg=="}) {
    EXPECT_FALSE(base64Decode(text).has_value()) << text;
  }
}

TEST(Crypto, WritesHexInLowerCase) { EXPECT_EQ(hexEncode("\x01\xab\xff"), "01abff"); }

TEST(Crypto, DrawsDifferentNumbers) {
  std::set<uint64_t> drawn;
  for (int i = 0; i < 1000; ++i) drawn.insert(randomUint64());
  EXPECT_EQ(drawn.size(), 1000u);
  std::set<uint16_t> small;
  for (int i = 0; i < 1000; ++i) small.insert(randomUint16());
  EXPECT_GT(small.size(), 900u);
}

}  // namespace
}  // namespace sluice::net
