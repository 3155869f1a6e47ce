#include "net/http/http_answer.h"

#include <gtest/gtest.h>

namespace sluice::net {
namespace {

struct Heard {
  std::string outcome;  // "whole", "more", or the error's code
  HttpAnswer answer;
};

Heard hear(std::string_view bytes, size_t segment, size_t max_body = 1000, bool close = false) {
  HttpAnswerParser parser(max_body);
  Result<bool> whole = false;
  while (!bytes.empty()) {
    whole = parser.feed(bytes.substr(0, segment));
    if (!whole) return {std::string(toString(whole.error().code)), {}};
    if (*whole) return {"whole", parser.take()};
    bytes.remove_prefix(std::min(segment, bytes.size()));
  }
  if (!close) return {"more", {}};
  if (const auto ended = parser.end(); !ended) {
    return {std::string(toString(ended.error().code)), {}};
  }
  return {"whole", parser.take()};
}

const std::string kOk = "HTTP/1.1 200 OK\r\n";

TEST(HttpAnswer, ComesWholeInEverySegmentation) {
  const std::string plain = kOk + "Content-Type: text/plain \r\nContent-Length: 5\r\n\r\nhello";
  const std::string chunked = kOk +
                              "content-type:\ttext/plain\r\nTransfer-Encoding: Chunked\r\n\r\n"
                              "2;a=b\r\nhe\r\n003\r\nllo\r\n0\r\nTrailer: x\r\n\r\n";
  for (const std::string& bytes : {plain, chunked}) {
    for (size_t segment = 1; segment <= bytes.size(); ++segment) {
      const Heard heard = hear(bytes, segment);
      ASSERT_EQ(heard.outcome, "whole") << segment;
      EXPECT_EQ(heard.answer.status, 200);
      EXPECT_EQ(heard.answer.body, "hello");
      EXPECT_EQ(heard.answer.header("content-type"), "text/plain");
      EXPECT_FALSE(heard.answer.until_close);
    }
  }
}

TEST(HttpAnswer, InterimAnswersAreNotTheAnswer) {
  const Heard heard = hear("HTTP/1.1 100 Continue\r\nA: b\r\n\r\nHTTP/1.1 204 \r\nB: c\r\n\r\n", 7);
  EXPECT_EQ(heard.answer.status, 204);
  EXPECT_EQ(heard.answer.header("a"), "");
  EXPECT_EQ(heard.answer.header("b"), "c");
}

TEST(HttpAnswer, WithoutALengthItEndsWithTheConnectionAndSaysSo) {
  EXPECT_EQ(hear(kOk + "\r\nhel", 100).outcome, "more");
  const Heard heard = hear(kOk + "\r\nhello", 3, 1000, true);
  EXPECT_EQ(heard.answer.body, "hello");
  EXPECT_TRUE(heard.answer.until_close);
}

TEST(HttpAnswer, CutOffIsNotWhole) {
  for (const std::string& bytes : {kOk, kOk + "Content-Length: 5\r\n\r\nhell",
                                   kOk + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"}) {
    EXPECT_EQ(hear(bytes, 100, 1000, true).outcome, toString(Errc::Closed)) << bytes;
  }
}

TEST(HttpAnswer, NonsenseIsRefused) {
  const std::string bad[] = {
      "HTTP/2 200 OK\r\n\r\n",
      "HTTP/1.1 099 OK\r\n\r\n",
      "HTTP/1.1 2000 OK\r\n\r\n",
      "SSH-2.0-OpenSSH\r\n",
      "HTTP/1.1 101 Switching\r\n\r\n",
      "HTTP/1.1 200 OK\n\n",
      kOk + "No colon\r\n\r\n",
      kOk + "Folded: a\r\n b\r\n\r\n",
      kOk + "Bad name : a\r\n\r\n",
      kOk + "Nul: a" + '\0' + "b\r\n\r\n",
      kOk + "Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
      kOk + "Content-Length: -5\r\n\r\n",
      kOk + "Content-Length: 5, 5\r\n\r\n",
      kOk + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
      kOk + "Transfer-Encoding: gzip\r\n\r\n",
      kOk + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
      kOk + "Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\n",
      kOk + "Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
      kOk + "Transfer-Encoding: chunked\r\n\r\n-1\r\n",
      kOk + "Transfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n",
  };
  for (const std::string& bytes : bad) {
    EXPECT_EQ(hear(bytes, 3).outcome, toString(Errc::Malformed)) << bytes;
  }
}

TEST(HttpAnswer, EverythingHasABound) {
  const std::string big[] = {
      kOk + "Content-Length: 1001\r\n\r\n",
      kOk + "Content-Length: 18446744073709551615\r\n\r\n",
      kOk + "\r\n" + std::string(1001, 'x'),
      kOk + "Transfer-Encoding: chunked\r\n\r\n3e9\r\n",
      kOk + "Transfer-Encoding: chunked\r\n\r\n3e8\r\n" + std::string(1000, 'x') + "\r\n1\r\n",
      kOk + "Transfer-Encoding: chunked\r\n\r\n1;" + std::string(2000, 'x'),
      kOk + "A: " + std::string(10'000, 'x') + "\r\n\r\n",
  };
  for (const std::string& bytes : big) {
    EXPECT_EQ(hear(bytes, 64).outcome, toString(Errc::TooLarge)) << bytes.substr(0, 80);
  }
  std::string many = kOk;
  for (int i = 0; i < 101; ++i) many += "A: b\r\n";
  EXPECT_EQ(hear(many, 64).outcome, toString(Errc::TooLarge));
  std::string interim;
  while (interim.size() < 40'000) interim += "HTTP/1.1 100 Continue\r\nA: b\r\n\r\n";
  EXPECT_EQ(hear(interim, 64).outcome, toString(Errc::TooLarge));
}

}  // namespace
}  // namespace sluice::net
