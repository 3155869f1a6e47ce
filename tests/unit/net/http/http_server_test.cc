#include "net/http/http_server.h"

#include <gmock/gmock.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "tests/unit/net/http/raw_client.h"

namespace sluice::net {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::Not;
using namespace std::chrono_literals;

class HttpServerTest : public ::testing::Test {
 protected:
  HttpServerTest() {
    HttpServerOptions options;
    options.listen = *Endpoint::parse("127.0.0.1:0");
    options.threads = 4;
    options.max_body_bytes = 64 * 1024;
    options.request_timeout = 300ms;
    auto server = HttpServer::create(options, [this](const HttpRequest& request) {
      ++calls_;
      HttpResponse response{.content_type = "text/plain"};
      response.body = request.method + " " + request.host + " " + request.body;
      for (const auto& segment : request.path) response.body += "[" + segment + "]";
      for (const auto& [name, value] : request.query)
        response.body += "{" + name + "=" + value + "}";
      if (!request.path.empty() && request.path[0] == "big") response.body.assign(5'000'000, 'x');
      if (!request.path.empty() && request.path[0] == "stream") {
        response.more = [this, left = 3]() mutable -> std::optional<std::string> {
          ++given_;
          if (request_forever_) return std::string(1000, 'x');
          return left-- > 0 ? std::optional("piece " + std::to_string(left) + "\n") : std::nullopt;
        };
      }
      if (!request.path.empty() && request.path[0] == "throw")
        throw std::runtime_error("a \"b\"\n");
      return response;
    });
    EXPECT_TRUE(server) << server.error().detail;
    server_ = std::move(*server);
  }

  std::string ask(std::string_view bytes) {
    RawClient client(server_->port());
    EXPECT_TRUE(client.connected());
    client.send(bytes);
    std::string answer = client.readAll();
    EXPECT_TRUE(client.closed()) << "the server keeps the connection";
    return answer;
  }
  // Refused with a 4xx or 5xx, or simply closed; and the handler never saw it.
  void expectRefused(std::string_view bytes) {
    const int before = calls_;
    const std::string answer = ask(bytes);
    const int status = statusOf(answer);
    EXPECT_TRUE(status == 0 ? answer.empty() : status >= 400) << answer.substr(0, 200);
    EXPECT_EQ(calls_, before) << bytes.substr(0, 80);
  }
  void expectAlive() {
    EXPECT_EQ(statusOf(ask("GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n")), 200);
  }

  std::atomic<int> calls_{0};
  std::atomic<int> given_{0};
  std::atomic<bool> request_forever_{false};
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, HandsOverTheRequest) {
  const std::string answer =
      ask("POST /a/b%20c?x=1&y=a+b HTTP/1.1\r\nHost: Relay:8025\r\nContent-Length: 5\r\n\r\nhello");
  EXPECT_EQ(statusOf(answer), 200);
  EXPECT_EQ(bodyOf(answer), "POST Relay:8025 hello[a][b c]{x=1}{y=a b}");
}

TEST_F(HttpServerTest, EveryResponseCarriesTheSafeHeaders) {
  for (const char* request : {"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
                              "GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n", "nonsense\r\n\r\n"}) {
    const std::string answer = ask(request);
    EXPECT_THAT(answer, HasSubstr("\r\nX-Content-Type-Options: nosniff\r\n"));
    EXPECT_THAT(answer, HasSubstr("\r\nCache-Control: no-store\r\n"));
    EXPECT_THAT(answer, HasSubstr("\r\nContent-Security-Policy: default-src 'none'"));
    EXPECT_THAT(answer, Not(HasSubstr("Access-Control-Allow")));
    EXPECT_THAT(answer, Not(HasSubstr("Server:")));
  }
}

TEST_F(HttpServerTest, HeadHasNoBody) {
  const std::string answer = ask("HEAD /x HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(statusOf(answer), 200);
  EXPECT_EQ(bodyOf(answer), "");
}

TEST_F(HttpServerTest, AThrowingHandlerIsAnError) {
  const std::string answer = ask("GET /throw HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(statusOf(answer), 500);
  EXPECT_EQ(bodyOf(answer), "{\"error\": \"a \\\"b\\\"?\"}\n");
}

TEST_F(HttpServerTest, MalformedRequestsAreRefused) {
  const std::string nul(1, '\0');
  expectRefused("GET /\r\n\r\n");           // HTTP/0.9
  expectRefused("GET / HTTP/1.1\r\n\r\n");  // no Host
  expectRefused("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
  expectRefused("GET / HTTP/9.9\r\nHost: x\r\n\r\n");
  expectRefused("GET  HTTP/1.1\r\nHost: x\r\n\r\n");
  expectRefused("BREW / HTTP/1.1\r\nHost: x\r\n\r\n");
  expectRefused("GET /" + nul + " HTTP/1.1\r\nHost: x\r\n\r\n");
  expectRefused("GET / HTTP/1.1\r\nHost: x" + nul + "y\r\n\r\n");
  expectRefused("GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n");
  expectRefused("GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n");
  expectRefused("GET /?a=%0d%0a HTTP/1.1\r\nHost: x\r\n\r\n");
  expectRefused("\x16\x03\x01\x02\x00\x01\x00\r\n\r\n");  // a TLS hello
  expectRefused("EHLO x\r\nMAIL FROM:<a@b>\r\n\r\n");
  expectAlive();
}

TEST_F(HttpServerTest, AmbiguousLengthsAreRefused) {
  const std::string start = "POST /x HTTP/1.1\r\nHost: x\r\n";
  expectRefused(start + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
  expectRefused(start + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab");
  expectRefused(start + "Content-Length: -1\r\n\r\n");
  expectRefused(start + "Content-Length: 99999999999999999999\r\n\r\n");
  expectRefused(start + "Content-Length: 1e3\r\n\r\n");
  expectRefused(start + "Transfer-Encoding: chunked\r\n\r\nzz\r\nnot a chunk\r\n");
  expectRefused(start + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n");
  expectAlive();
}

TEST_F(HttpServerTest, TooMuchIsRefused) {
  expectRefused("GET / HTTP/1.1\r\nHost: x\r\nX: " + std::string(1 << 20, 'a') + "\r\n\r\n");
  expectRefused("GET /" + std::string(1 << 20, 'a') + " HTTP/1.1\r\nHost: x\r\n\r\n");
  std::string many = "GET / HTTP/1.1\r\nHost: x\r\n";
  for (int i = 0; i < 10'000; ++i) many += "X" + std::to_string(i) + ": y\r\n";
  expectRefused(many + "\r\n");
  std::string hundred = "GET / HTTP/1.1\r\nHost: x\r\n";
  for (int i = 0; i < 100; ++i) hundred += "X" + std::to_string(i) + ": y\r\n";
  expectRefused(hundred + "\r\n");
  expectRefused("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 65537\r\n\r\n" +
                std::string(65537, 'a'));
  expectAlive();
}

TEST_F(HttpServerTest, TraversalReachesNoFile) {
  for (const char* path : {"/../../../../etc/passwd", "/..%2f..%2f..%2fetc/passwd", "//etc/passwd",
                           "/%2e%2e/%2e%2e/etc/passwd", "/..\\..\\etc\\passwd"}) {
    const std::string answer = ask("GET " + std::string(path) + " HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_THAT(answer, Not(HasSubstr("root:"))) << path;
  }
}

TEST_F(HttpServerTest, OtherSitesGetNoPermission) {
  const std::string answer =
      ask("OPTIONS /x HTTP/1.1\r\nHost: x\r\nOrigin: http://evil.test\r\n"
          "Access-Control-Request-Method: POST\r\n\r\n");
  EXPECT_THAT(answer, Not(HasSubstr("Access-Control-Allow")));
}

TEST_F(HttpServerTest, SlowHeadersAreGivenUp) {
  RawClient client(server_->port());
  const auto begun = std::chrono::steady_clock::now();
  std::string_view request =
      "GET / HTTP/1.1\r\nHost: x\r\nX-Slow: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
  while (!request.empty() && !client.closed() && client.send(request.substr(0, 1))) {
    request.remove_prefix(1);
    client.readAll(50ms);
  }
  client.readAll();
  EXPECT_TRUE(client.closed());
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 5s);
  EXPECT_EQ(calls_, 0);
}

TEST_F(HttpServerTest, ATricklingBodyIsGivenUp) {
  RawClient client(server_->port());
  const auto begun = std::chrono::steady_clock::now();
  client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n");
  while (!client.closed() && client.send("a")) client.readAll(50ms);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 5s);
  EXPECT_EQ(calls_, 0);
}

TEST_F(HttpServerTest, PipelinedRequestsGetOneAnswerAndAClose) {
  std::string many;
  for (int i = 0; i < 10'000; ++i) many += "GET /x HTTP/1.1\r\nHost: x\r\n\r\n";
  RawClient client(server_->port());
  client.send(many);
  client.readAll();
  EXPECT_TRUE(client.closed());
  EXPECT_LE(calls_, 1);
  expectAlive();
}

TEST_F(HttpServerTest, LargeResponsesArriveWhole) {
  EXPECT_EQ(bodyOf(ask("GET /big HTTP/1.1\r\nHost: x\r\n\r\n")).size(), 5'000'000u);
}

TEST_F(HttpServerTest, AResponseMayGoOnWithoutALength) {
  const std::string answer = ask("GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_THAT(answer, Not(HasSubstr("Content-Length")));
  EXPECT_THAT(answer, HasSubstr("[stream]piece 2\npiece 1\npiece 0\n"));
}

TEST_F(HttpServerTest, AResponseThatGoesOnEndsWhenTheClientHasLeft) {
  request_forever_ = true;
  {
    RawClient client(server_->port());
    client.send("GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n");
    while (given_ < 2) std::this_thread::yield();
  }
  server_.reset();  // waits for the handler: it would go on for ever
}

TEST_F(HttpServerTest, StopsAlthoughClientsHang) {
  RawClient one(server_->port());
  RawClient two(server_->port());
  one.send("GET / HT");
  const auto begun = std::chrono::steady_clock::now();
  server_.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 5s);
}

TEST_F(HttpServerTest, AnAddressThatIsTakenIsAnError) {
  HttpServerOptions options;
  options.listen = *Endpoint::parse("127.0.0.1:" + std::to_string(server_->port()));
  const auto second =
      HttpServer::create(options, [](const HttpRequest&) { return HttpResponse{}; });
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::Io);
}

// Their symbols would clash with BoringSSL's.
TEST_F(HttpServerTest, NoOpenSslIsLoaded) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    EXPECT_THAT(line, Not(AnyOf(HasSubstr("libssl.so.3"), HasSubstr("libcrypto.so.3"))));
  }
}

}  // namespace
}  // namespace sluice::net
