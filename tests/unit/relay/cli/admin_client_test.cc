#include "relay/cli/admin_client.h"

#include <gmock/gmock.h>

#include "net/http/http_server.h"

namespace sluice::relay {
namespace {

using namespace std::chrono_literals;

TEST(AdminClient, ReadsUrlsAsPeopleWriteThem) {
  struct Row {
    const char* url;
    const char* host;
    uint16_t port;
  };
  for (const Row& row : {Row{"http://127.0.0.1:8025", "127.0.0.1", 8025},
                         Row{"http://relay.example.com:80/", "relay.example.com", 80},
                         Row{"relay", "relay", 8025}, Row{"http://[::1]:9", "::1", 9}}) {
    const auto target = parseAdminUrl(row.url);
    ASSERT_TRUE(target) << row.url;
    EXPECT_EQ(target->host, row.host);
    EXPECT_EQ(target->port, row.port);
  }
  for (const char* url :
       {"", "http://", "https://x", "http://x:0", "http://x:99999", "http://x:y", "http://x/path",
        "http://u@x", "http://[::1", "http://[x]:1", "http://x\r\nHost: y"}) {
    EXPECT_FALSE(parseAdminUrl(url)) << url;
  }
}

TEST(AdminClient, AnswersMustBeWhole) {
  EXPECT_EQ(readAnswer("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")->body, "ok");
  EXPECT_EQ(readAnswer("HTTP/1.1 404 No\r\n\r\nx")->status, 404);
  EXPECT_EQ(readAnswer("").error().code, Errc::Closed);
  EXPECT_EQ(readAnswer("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok").error().code,
            Errc::Closed);
  EXPECT_EQ(readAnswer("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nok").error().code,
            Errc::Closed);
  EXPECT_EQ(readAnswer("220 mail ESMTP\r\n\r\n").error().code, Errc::Malformed);
  EXPECT_EQ(readAnswer("HTTP/1.1 \r\n\r\n").error().code, Errc::Malformed);
}

TEST(AdminClient, TalksToAServerWithItsToken) {
  net::HttpServerOptions options;
  options.listen = *Endpoint::parse("127.0.0.1:0");
  const auto server = net::HttpServer::create(options, [](const net::HttpRequest& request) {
    return net::HttpResponse{
        .status = request.authorization == "Bearer secret" ? 200 : 401,
        .body = request.method + " " + request.content_type + " " + request.body};
  });
  ASSERT_TRUE(server);
  AdminTarget target{.host = "127.0.0.1", .port = (*server)->port(), .token = "secret"};
  EXPECT_EQ(AdminClient(target).post("/x", "{}")->body, "POST application/json {}");
  EXPECT_EQ(AdminClient(target).get("/x")->status, 200);
  target.token.clear();
  EXPECT_EQ(AdminClient(target).get("/x")->status, 401);
  target.token = "a\r\nb";
  EXPECT_EQ(AdminClient(target).get("/x").error().code, Errc::InvalidArgument);
}

TEST(AdminClient, NobodyThereIsToldAtOnce) {
  uint16_t port = 0;
  {
    net::HttpServerOptions options;
    options.listen = *Endpoint::parse("127.0.0.1:0");
    const auto server = net::HttpServer::create(
        options, [](const net::HttpRequest&) { return net::HttpResponse{}; });
    port = (*server)->port();
  }
  EXPECT_EQ(AdminClient({.host = "127.0.0.1", .port = port}, 2s).get("/").error().code,
            Errc::Refused);
}

}  // namespace
}  // namespace sluice::relay
