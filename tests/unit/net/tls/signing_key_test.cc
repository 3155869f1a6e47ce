// The published vectors of RFC 8463, and keys that are made, written and read.
#include "net/tls/signing_key.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/tls/sha256_stream.h"

namespace sluice::net {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
using Kind = SigningKey::Kind;

// RFC 8463 appendix A.2.
constexpr std::string_view kRsaPem = R"(-----BEGIN RSA PRIVATE KEY-----
MIICXQIBAAKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQi
Y/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqM
KrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB
AoGAH0cxOhFZDgzXWhDhnAJDw5s4roOXN4OhjiXa8W7Y3rhX3FJqmJSPuC8N9vQm
6SVbaLAE4SG5mLMueHlh4KXffEpuLEiNp9Ss3O4YfLiQpbRqE7Tm5SxKjvvQoZZe
zHorimOaChRL2it47iuWxzxSiRMv4c+j70GiWdxXnxe4UoECQQDzJB/0U58W7RZy
6enGVj2kWF732CoWFZWzi1FicudrBFoy63QwcowpoCazKtvZGMNlPWnC7x/6o8Gc
uSe0ga2xAkEA8C7PipPm1/1fTRQvj1o/dDmZp243044ZNyxjg+/OPN0oWCbXIGxy
WvmZbXriOWoSALJTjExEgraHEgnXssuk7QJBALl5ICsYMu6hMxO73gnfNayNgPxd
WFV6Z7ULnKyV7HSVYF0hgYOHjeYe9gaMtiJYoo0zGN+L3AAtNP9huqkWlzECQE1a
licIeVlo1e+qJ6Mgqr0Q7Aa7falZ448ccbSFYEPD6oFxiOl9Y9se9iYHZKKfIcst
o7DUw1/hz2Ck4N5JrgUCQQCyKveNvjzkkd8HjYs0SwM0fPjK16//5qDZ2UiDGnOe
uEzxBDAr518Z8VFbR41in3W4Y3yCDgQlLlcETrS+zYcL
-----END RSA PRIVATE KEY-----
)";

// RFC 8463 appendix A.2, as PKCS#8 (RFC 8410 section 7).
std::string ed25519Pem() {
  const std::string seed = base64Decode("nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=").value();
  const std::string_view head("\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20",
                              16);
  return "-----BEGIN PRIVATE KEY-----\n" + base64Encode(std::string(head) + seed) +
         "\n-----END PRIVATE KEY-----\n";
}

// What RFC 8463 appendix A.3 signs, up to the tags that differ.
Sha256Digest digestOfTheExample(std::string_view algorithm, std::string_view selector) {
  Sha256Stream hash;
  hash.update(
      "from:Joe SixPack <joe@football.example.com>\r\n"
      "to:Suzie Q <suzie@shopping.example.net>\r\n"
      "subject:Is dinner ready?\r\n"
      "date:Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"
      "message-id:<20030712040037.46341.5F8J@football.example.com>\r\n"
      "dkim-signature:v=1; a=");
  hash.update(algorithm);
  hash.update(
      "; c=relaxed/relaxed; d=football.example.com; i=@football.example.com; q=dns/txt; s=");
  hash.update(selector);
  hash.update(
      "; t=1528637909; h=from : to : subject : date : message-id : from : subject : date; "
      "bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=; b=");
  return hash.digest();
}

TEST(SigningKey, SignsTheExampleOfRfc8463WithEd25519) {
  const auto key = SigningKey::fromPem(ed25519Pem());
  ASSERT_TRUE(key) << key.error().detail;
  EXPECT_EQ((*key)->kind(), Kind::Ed25519);
  EXPECT_EQ(base64Encode((*key)->publicKey()), "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
  EXPECT_EQ(
      base64Encode((*key)->sign(digestOfTheExample("ed25519-sha256", "brisbane")).value()),
      "/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11BusFa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==");
}

TEST(SigningKey, SignsTheExampleOfRfc8463WithRsa) {
  const auto key = SigningKey::fromPem(kRsaPem);
  ASSERT_TRUE(key) << key.error().detail;
  EXPECT_EQ((*key)->kind(), Kind::Rsa);
  EXPECT_EQ((*key)->bits(), 1024u);
  EXPECT_THAT(base64Encode((*key)->publicKey()),
              StartsWith("MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08"));
  EXPECT_EQ(base64Encode((*key)->sign(digestOfTheExample("rsa-sha256", "test")).value()),
            "F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo"
            "1tFOeS9mPYQTnGdaSGsgeefOsk2JzdA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY"
            "+8=");
}

TEST(SigningKey, IsTheSameWhenWrittenAndReadAgain) {
  for (const auto& made : {SigningKey::makeRsa(2048), SigningKey::makeEd25519()}) {
    ASSERT_TRUE(made) << made.error().detail;
    EXPECT_THAT((*made)->toPem(), StartsWith("-----BEGIN PRIVATE KEY-----\n"));
    const auto read = SigningKey::fromPem((*made)->toPem());
    ASSERT_TRUE(read) << read.error().detail;
    EXPECT_EQ((*read)->publicKey(), (*made)->publicKey());
    EXPECT_EQ((*read)->sign(sha256("x")).value(), (*made)->sign(sha256("x")).value());
  }
}

TEST(SigningKey, TwoThatAreMadeDiffer) {
  EXPECT_NE((*SigningKey::makeEd25519())->publicKey(), (*SigningKey::makeEd25519())->publicKey());
}

TEST(SigningKey, SaysWhyAKeyCannotBeUsed) {
  const auto why = [](std::string_view pem) { return SigningKey::fromPem(pem).error(); };
  EXPECT_EQ(why("").code, Errc::Malformed);
  EXPECT_EQ(why("no PEM at all\n").code, Errc::Malformed);
  EXPECT_EQ(why(kRsaPem.substr(0, 400)).code, Errc::Malformed);
  EXPECT_THAT(
      why("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n")
          .detail,
      HasSubstr("encrypted"));
  constexpr std::string_view kEllipticPem = R"(-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgdBLvNNc0MyA2f8S3
20KEKubHOJaPUOzaK3cUZAPUZoihRANCAASMdlDC/WmWCSF4RVUznVrGTQHLgCF0
F+tGRY4zvOlCsp7xCdHtkLg7Vm0NaN78HG1feVmHD6Vsq0wUZE6J9Nmw
-----END PRIVATE KEY-----
)";
  EXPECT_EQ(why(kEllipticPem).code, Errc::Unsupported);
  EXPECT_EQ(SigningKey::makeRsa(1024).error().code, Errc::InvalidArgument);
}

TEST(Sha256Stream, IsTheDigestOfAllPiecesAndACopyGoesOnForItself) {
  Sha256Stream hash;
  EXPECT_EQ(hash.digest(), sha256(""));
  hash.update("ab");
  Sha256Stream copy = hash;
  hash.update("c");
  EXPECT_EQ(hash.digest(), sha256("abc"));
  EXPECT_EQ(copy.digest(), sha256("ab"));
}

}  // namespace
}  // namespace sluice::net
