#include "net/http/https_url.h"

#include <gtest/gtest.h>

namespace sluice::net {
namespace {

TEST(HttpsUrl, IsTakenApartAndPutTogether) {
  const HttpsUrl plain = *HttpsUrl::parse("https://Login.Example.com");
  EXPECT_EQ(plain.host, "login.example.com");
  EXPECT_EQ(plain.port, 443);
  EXPECT_EQ(plain.target, "/");
  const HttpsUrl full = *HttpsUrl::parse("https://a.test:8443/b/c?d=e&f");
  EXPECT_EQ(full.port, 8443);
  EXPECT_EQ(full.target, "/b/c?d=e&f");
  EXPECT_EQ(full.toString(), "https://a.test:8443/b/c?d=e&f");
  EXPECT_EQ(HttpsUrl::parse("https://a.test?x")->target, "/?x");
  EXPECT_EQ(HttpsUrl::parse("https://[2001:db8::1]:8/")->authority(), "[2001:db8::1]:8");
  EXPECT_EQ(HttpsUrl::parse("HTTPS://192.0.2.1/")->host, "192.0.2.1");
}

TEST(HttpsUrl, WhatCouldMeanAnotherHostIsRefused) {
  for (const char* bad : {"",
                          "https://",
                          "http://a.test/",
                          "a.test",
                          "https:a.test",
                          "https://user@a.test/",
                          "https://a.test:pass@b.test/",
                          "https://a.test:0/",
                          "https://a.test:65536/",
                          "https://a.test:/",
                          "https://a.test: 8/",
                          "https://a test/",
                          "https://a.test/\r\nX: y",
                          "https://a.test/#b",
                          "https://a.test\\@b.test/",
                          "https://[::1",
                          "https://[::1]8/",
                          "https://a..test/",
                          "https://-/",
                          "https://a.test/\x80",
                          "https://:443/"}) {
    EXPECT_FALSE(HttpsUrl::parse(bad)) << bad;
  }
}

}  // namespace
}  // namespace sluice::net
