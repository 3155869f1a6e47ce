#include "relay/admin/admin_server.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "tests/unit/net/http/raw_client.h"
#include "tests/unit/relay/admin/fake_control.h"
#include "tests/unit/relay/admin/recording_log.h"

namespace sluice::relay {
namespace {

using net::bodyOf;
using net::RawClient;
using net::statusOf;
using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kToken = "s3cret-token";

class AdminServerTest : public ::testing::Test {
 protected:
  AdminServerTest() {
    registry_.addGauge(metrics::names::kQueueMessages, {}, [] { return 7.0; });
    config_.listen = *Endpoint::parse("127.0.0.1:0");
    start();
  }
  void start() {
    auto server = AdminServer::create(config_, control_, registry_, log_);
    ASSERT_TRUE(server) << server.error().detail;
    server_ = std::move(*server);
  }
  std::string ask(const std::string& method, const std::string& path, const std::string& body = "",
                  const std::string& headers = "") {
    std::string request = method + " " + path + " HTTP/1.1\r\n" + headers;
    if (headers.find("Host:") == std::string::npos) request += "Host: localhost:8025\r\n";
    if (!body.empty() && headers.find("Content-Type") == std::string::npos) {
      request += "Content-Type: application/json\r\n";
    }
    if (!body.empty()) request += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    RawClient client(server_->port());
    client.send(request + "\r\n" + body);
    return client.readAll();
  }
  int status(const std::string& method, const std::string& path, const std::string& body = "",
             const std::string& headers = "") {
    const std::string answer = ask(method, path, body, headers);
    if (statusOf(answer) >= 400) {
      EXPECT_TRUE(json::parse(bodyOf(answer))["error"].is_string()) << answer;
    }
    return statusOf(answer);
  }
  json body(const std::string& method, const std::string& path, const std::string& body = "") {
    return json::parse(bodyOf(ask(method, path, body)));
  }

  FakeControl control_;
  metrics::Registry registry_;
  RecordingLog log_;
  AdminConfig config_;
  std::unique_ptr<AdminServer> server_;
};

TEST_F(AdminServerTest, HealthFollowsTheRelay) {
  EXPECT_EQ(status("GET", "/livez"), 200);
  EXPECT_EQ(status("GET", "/readyz"), 200);
  control_.ready = {false, "no disk"};
  EXPECT_EQ(status("GET", "/livez"), 200);
  EXPECT_EQ(status("GET", "/readyz"), 503);
  EXPECT_THAT(ask("GET", "/readyz"), HasSubstr("no disk"));
}

TEST_F(AdminServerTest, MetricsAreInTheTextFormat) {
  const std::string answer = ask("GET", "/metrics");
  EXPECT_THAT(answer, HasSubstr("Content-Type: text/plain; version=0.0.4"));
  EXPECT_THAT(answer, HasSubstr("\nsluice_queue_messages 7\n"));
}

TEST_F(AdminServerTest, TheDashboardIsStaticAndOpenUnderAStrictPolicy) {
  config_.token = kToken;
  start();
  const std::string page = ask("GET", "/");
  EXPECT_EQ(statusOf(page), 200);
  EXPECT_THAT(page, HasSubstr("Content-Type: text/html"));
  for (const char* rule : {"default-src 'none'", "script-src 'self'", "style-src 'self'",
                           "frame-ancestors 'none'", "require-trusted-types-for 'script'"}) {
    EXPECT_THAT(page, HasSubstr(rule));
  }
  EXPECT_THAT(page, Not(HasSubstr("unsafe")));
  EXPECT_THAT(ask("GET", "/page/app.js"), HasSubstr("Content-Type: text/javascript"));
  EXPECT_THAT(ask("GET", "/page/style.css"), HasSubstr("Content-Type: text/css"));
  for (const char* path : {"/page", "/page/none.js", "/page/app.js/x", "/page/../app.js", "/x"}) {
    EXPECT_EQ(status("GET", path), 404) << path;
  }
  EXPECT_EQ(status("POST", "/page/app.js"), 405);
}

TEST_F(AdminServerTest, EveryAnswerForbidsWhatItNeedsNot) {
  for (const char* path : {"/", "/page/app.js", "/metrics", "/api/v1/queues", "/api/v1/none"}) {
    const std::string answer = ask("GET", path);
    for (const char* header :
         {"Content-Security-Policy: default-src 'none'", "X-Content-Type-Options: nosniff",
          "Referrer-Policy: no-referrer", "X-Frame-Options: DENY", "Cache-Control: no-store"}) {
      EXPECT_THAT(answer, HasSubstr(header)) << path;
    }
  }
}

// The data of the only event.
json sampleIn(const std::string& answer) {
  const std::string body = bodyOf(answer);
  const size_t begin = body.find("data: ");
  EXPECT_TRUE(body.starts_with("event: sample\n") && begin != body.npos) << body;
  return json::parse(body.substr(begin + 6));
}

TEST_F(AdminServerTest, TheStreamSaysHowTheRelayIs) {
  registry_.addCounter(metrics::names::kMessagesAccepted, {"apps"}, [] { return 41.0; });
  QueueStatus queue;
  queue.destination = {.destination = "slow.test", .state = "resting"};
  queue.deferred = 9;
  queue.oldest = WallTime(std::chrono::seconds(1'764'000'000));
  control_.queue_list = {{.destination = {.destination = "calm.test"}}, queue};
  const json sample = sampleIn(ask("GET", "/api/v1/stream?samples=1"));
  EXPECT_EQ(sample["status"]["version"], "1.2.3");
  EXPECT_EQ(sample["traffic"]["accepted"], 41);
  EXPECT_EQ(sample["traffic"]["delivered"], 0);
  EXPECT_EQ(sample["destinations"], 2);
  EXPECT_EQ(sample["ages"][0], json({{"up_to", 60}, {"messages", 4}}));
  EXPECT_EQ(sample["ages"][5], json({{"up_to", nullptr}, {"messages", 1}}));
  EXPECT_EQ(sample["hurting"][0]["destination"], "slow.test");
  EXPECT_GT(sample["hurting"][0]["hurt"], 50);
  EXPECT_TRUE(sample["hurting"][0]["velocity"].is_null());
}

TEST_F(AdminServerTest, TheStreamIsGuardedAndStrict) {
  EXPECT_EQ(status("POST", "/api/v1/stream", "{}"), 405);
  EXPECT_EQ(status("GET", "/api/v1/stream?samples=0"), 400);
  EXPECT_EQ(status("GET", "/api/v1/stream?token=x"), 400);
  config_.token = kToken;
  start();
  EXPECT_EQ(status("GET", "/api/v1/stream?samples=1"), 401);
}

TEST_F(AdminServerTest, AnOpenStreamDoesNotKeepTheServerFromStopping) {
  RawClient client(server_->port());
  client.send("GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_THAT(client.readAll(std::chrono::milliseconds(300)), HasSubstr("event: sample"));
  server_.reset();
  client.readAll();
  EXPECT_TRUE(client.closed());
}

TEST_F(AdminServerTest, QueuesAreSortedAndFoundByPartsOfTheirNames) {
  const auto add = [&](const char* name, uint64_t ready, int64_t oldest, const char* state) {
    QueueStatus queue;
    queue.destination = {.destination = name, .state = state};
    queue.ready = ready;
    queue.oldest = WallTime(std::chrono::seconds(oldest));
    control_.queue_list.push_back(queue);
  };
  add("b.Example.net", 5, 1'764'000'000, "delivering");
  add("a.example.net", 90, 1'764'000'300, "resting");
  add("c.test", 7, 1'763'000'000, "idle");
  const auto order = [&](const std::string& query) {
    std::string names;
    const json page = body("GET", "/api/v1/queues?" + query);
    for (const json& item : page["items"]) {
      names += item["destination"].get<std::string>().substr(0, 1);
    }
    return names;
  };
  EXPECT_EQ(order("sort=hurt").substr(0, 1), "a");
  EXPECT_EQ(order("sort=oldest"), "cba");
  EXPECT_EQ(order("sort=waiting"), "acb");
  EXPECT_EQ(order("sort=name"), "abc");
  EXPECT_EQ(order("match=EXAMPLE"), "ab");
  const json page = body("GET", "/api/v1/queues?sort=name&limit=2");
  EXPECT_EQ(page["total"], 3);
  EXPECT_EQ(page["next"], "2");
  EXPECT_EQ(order("sort=name&limit=2&cursor=2"), "c");
  EXPECT_EQ(order("sort=name&cursor=9"), "");
  for (const char* query : {"sort=x", "sort=hurt&limit=0", "sort=hurt&cursor=x",
                            "match=", "sort=hurt&sort=hurt", "sort=hurt&x=1"}) {
    EXPECT_EQ(status("GET", std::string("/api/v1/queues?") + query), 400) << query;
  }
}

TEST_F(AdminServerTest, QueueHasTheFieldsOfTheContract) {
  QueueStatus queue;
  queue.destination = {.destination = "example.net",
                       .connector = "internet",
                       .state = "resting",
                       .connections = 2,
                       .last_reply = "451 later",
                       .max_connections = 20,
                       .rate = "5/s"};
  queue.deferred = 4;
  queue.oldest = WallTime(std::chrono::seconds(1'764'000'000));
  control_.queue_list = {queue};
  const json item = body("GET", "/api/v1/queues")["items"][0];
  EXPECT_EQ(item["destination"], "example.net");
  EXPECT_EQ(item["state"], "resting");
  EXPECT_EQ(item["deferred"], 4);
  EXPECT_EQ(item["oldest"], "2025-11-24T16:00:00.000000Z");
  EXPECT_TRUE(item["next_attempt"].is_null());
  EXPECT_EQ(item["limits"], json({{"max_connections", 20}, {"rate", "5/s"}}));
  for (const char* name : {"connector", "ready", "active", "held", "connections", "last_reply"}) {
    EXPECT_TRUE(item.contains(name)) << name;
  }
  EXPECT_EQ(body("GET", "/api/v1/queues/example.net"), item);
  EXPECT_EQ(status("GET", "/api/v1/queues/example.org"), 404);
}

TEST_F(AdminServerTest, QueuesComeInPages) {
  for (const char* name : {"a.test", "b/c.test", "d.test"}) {
    control_.queue_list.push_back({.destination = {.destination = name}});
  }
  json page = body("GET", "/api/v1/queues?limit=2");
  EXPECT_EQ(page["items"].size(), 2u);
  ASSERT_EQ(page["next"], "b/c.test");
  page = body("GET", "/api/v1/queues?limit=2&cursor=b%2Fc.test");
  EXPECT_EQ(page["items"][0]["destination"], "d.test");
  EXPECT_TRUE(page["next"].is_null());
  EXPECT_EQ(status("GET", "/api/v1/queues/b%2Fc.test"), 200);
}

TEST_F(AdminServerTest, MessageHasTheFieldsOfTheContract) {
  control_.addMessage(1);
  const json message = body("GET", "/api/v1/messages/" + idOf(1).toString());
  EXPECT_EQ(message["id"], idOf(1).toString());
  EXPECT_EQ(message["sender"], "<>");
  EXPECT_EQ(message["size"], 42);
  EXPECT_EQ(message["state"], "deferred");
  EXPECT_EQ(message["attempts"], 2);
  EXPECT_EQ(message["connector"], "apps");
  EXPECT_EQ(message["next_attempt"], "2025-11-24T16:01:40.000000Z");
  const json recipient = message["recipients"][0];
  EXPECT_EQ(recipient["recipient"], "bad\xef\xbf\xbd@example.net");
  EXPECT_EQ(recipient["destination"], "example.net");
  EXPECT_EQ(recipient["last_reply"], "451 4.7.1 later");
  EXPECT_EQ(message["recipients"][1]["state"], "held");
  EXPECT_TRUE(message["recipients"][1]["next_attempt"].is_null());
}

TEST_F(AdminServerTest, ListPassesFiltersAndGivesACursor) {
  control_.addMessage(1);
  control_.listing.next = idOf(1);
  const json page = body("GET",
                         "/api/v1/messages?sender=%3C%3E&recipient=a%40b.test&state=held"
                         "&older_than=2h&limit=7&destination=b.test&cursor=" +
                             idOf(9).toString());
  EXPECT_EQ(page["next"], idOf(1).toString());
  EXPECT_EQ(control_.last_filter.sender, "<>");
  EXPECT_EQ(control_.last_filter.recipient, "a@b.test");
  EXPECT_EQ(control_.last_filter.state, queue::RecipientState::Held);
  EXPECT_EQ(control_.last_filter.older_than, std::chrono::hours(2));
  EXPECT_EQ(control_.last_filter.key_or_domain, "b.test");
  EXPECT_EQ(control_.last_limit, 7u);
  EXPECT_EQ(control_.last_after, idOf(9));
}

TEST_F(AdminServerTest, FiltersThatAreNotKnownAreRefused) {
  for (const char* query :
       {"sendr=x", "older-than=1h", "limit=0", "limit=1001", "limit=-1", "limit=x", "state=odd",
        "older_than=x", "older_than=99999999999999999999", "cursor=x",
        "sender=", "sender=a&sender=b"}) {
    EXPECT_EQ(status("GET", std::string("/api/v1/messages?") + query), 400) << query;
  }
}

TEST_F(AdminServerTest, ContentIsAFileAndNeverAPage) {
  control_.addMessage(1);
  const std::string answer = ask("GET", "/api/v1/messages/" + idOf(1).toString() + "/content");
  EXPECT_THAT(answer, HasSubstr("Content-Type: message/rfc822\r\n"));
  EXPECT_THAT(answer, HasSubstr("Content-Disposition: attachment; filename=\"" +
                                idOf(1).toString() + ".eml\""));
  EXPECT_THAT(answer, HasSubstr("nosniff"));
  EXPECT_THAT(bodyOf(answer), HasSubstr("hello"));
}

TEST_F(AdminServerTest, MessagesThatAreNotThereAreNotFound) {
  for (const std::string& path :
       {std::string("nothing-like-this"), idOf(2).toString(), idOf(2).toString() + "/content"}) {
    EXPECT_EQ(status("GET", "/api/v1/messages/" + path), 404) << path;
  }
}

TEST_F(AdminServerTest, ActionsAnswerWithCounts) {
  const json done = body("POST", "/api/v1/messages/hold", R"({"sender":"a@b.test"})");
  EXPECT_EQ(done, json({{"matched", 3}, {"changed", 2}}));
  EXPECT_EQ(control_.last_action, MessageAction::Hold);
  EXPECT_EQ(control_.last_filter.sender, "a@b.test");
  body("POST", "/api/v1/messages/discard", R"({"ids":[")" + idOf(3).toString() + R"("]})");
  EXPECT_EQ(control_.last_action, MessageAction::Discard);
  ASSERT_EQ(control_.last_filter.ids.size(), 1u);
  EXPECT_EQ(control_.last_filter.ids[0], idOf(3));
  ASSERT_FALSE(log_.events().empty());
  EXPECT_EQ(log_.events().back().event, "admin_action");
}

// An empty object is everything only where that harms nobody.
TEST_F(AdminServerTest, EverythingMustBeSaidWhereItHurts) {
  EXPECT_EQ(status("POST", "/api/v1/messages/retry", "{}"), 200);
  EXPECT_EQ(status("POST", "/api/v1/messages/release", "{}"), 200);
  const int before = control_.acts;
  for (const char* action : {"hold", "bounce", "discard"}) {
    EXPECT_EQ(status("POST", std::string("/api/v1/messages/") + action, "{}"), 400);
    EXPECT_EQ(status("POST", std::string("/api/v1/messages/") + action), 400);
    EXPECT_EQ(status("POST", std::string("/api/v1/messages/") + action, R"({"all":false})"), 400);
    EXPECT_EQ(status("POST", std::string("/api/v1/messages/") + action, R"({"limit":5})"), 400);
  }
  EXPECT_EQ(control_.acts, before);
  EXPECT_EQ(status("POST", "/api/v1/messages/discard", R"({"all":true})"), 200);
  EXPECT_EQ(control_.acts, before + 1);
}

TEST_F(AdminServerTest, BodiesThatAreNotUnderstoodChangeNothing) {
  const std::string id = idOf(1).toString();
  for (const std::string& bad :
       {std::string("nonsense"), std::string("[]"), std::string("{"),
        std::string(R"({"sendr":"x"})"), std::string(R"({"sender":1})"),
        std::string(R"({"sender":""})"), std::string(R"({"ids":[]})"),
        std::string(R"({"ids":"x"})"), std::string(R"({"ids":[1]})"),
        std::string(R"({"ids":["x"]})"), std::string(R"({"all":"yes"})"),
        R"({"all":true,"sender":"x"})" + std::string(), R"({"ids":[")" + id + R"("],"sender":"x"})",
        R"({"ids":[")" + id + R"("],"all":true})", std::string(R"({"state":"gone"})"),
        std::string(R"({"older_than":-5})"), std::string(100'000, '[')}) {
    EXPECT_EQ(status("POST", "/api/v1/messages/retry", bad), 400) << bad.substr(0, 60);
  }
  EXPECT_EQ(control_.acts, 0);
}

TEST_F(AdminServerTest, LimitChoosesSoManyMessages) {
  control_.addMessage(1);
  EXPECT_EQ(status("POST", "/api/v1/messages/discard", R"({"state":"deferred","limit":1})"), 200);
  ASSERT_EQ(control_.last_filter.ids.size(), 1u);
  EXPECT_EQ(control_.last_limit, 1u);
}

TEST_F(AdminServerTest, DestinationsAreSuspendedAndResumed) {
  EXPECT_EQ(body("POST", "/api/v1/queues/example.net/suspend"),
            json({{"matched", 1}, {"changed", 1}}));
  EXPECT_EQ(control_.last_suspended, true);
  EXPECT_EQ(status("POST", "/api/v1/queues/example.net/resume"), 200);
  EXPECT_EQ(control_.last_suspended, false);
  EXPECT_EQ(body("POST", "/api/v1/queues/example.net/retry")["changed"], 5);
  EXPECT_EQ(status("POST", "/api/v1/queues/example.org/suspend"), 404);
  EXPECT_EQ(status("POST", "/api/v1/queues/example.net/explode"), 404);
}

TEST_F(AdminServerTest, ReloadTellsTheMistakes) {
  EXPECT_EQ(status("POST", "/api/v1/reload"), 200);
  control_.error = Error{Errc::InvalidArgument, "a.toml:1:2: unknown key"};
  EXPECT_EQ(status("POST", "/api/v1/reload"), 400);
  EXPECT_THAT(ask("POST", "/api/v1/reload"), HasSubstr("a.toml:1:2: unknown key"));
  EXPECT_EQ(control_.reloads, 3);
}

TEST_F(AdminServerTest, ErrorsHaveTheRightStatus) {
  control_.error = Error{Errc::Timeout, "a shard did not answer in time"};
  EXPECT_EQ(status("GET", "/api/v1/queues"), 504);
  control_.error = Error{Errc::Corrupt, "bad checksum"};
  EXPECT_EQ(status("GET", "/api/v1/messages"), 500);
}

TEST_F(AdminServerTest, WrongMethodsAndPathsAreToldApart) {
  EXPECT_EQ(status("GET", "/api/v1/reload"), 405);
  EXPECT_EQ(status("GET", "/api/v1/messages/retry"), 405);
  EXPECT_EQ(status("POST", "/api/v1/status", "{}"), 405);
  EXPECT_EQ(status("DELETE", "/api/v1/messages/" + idOf(1).toString()), 405);
  EXPECT_EQ(status("POST", "/metrics", "{}"), 405);
  for (const char* path : {"/api/v1", "/api/v1/", "/api/v2/status", "/api", "/x", "/livez/x",
                           "/api/v1/status/x", "/api/v1/../v1/status", "/etc/passwd"}) {
    EXPECT_EQ(status("GET", path), 404) << path;
  }
}

TEST_F(AdminServerTest, OtherSitesAreRefusedEverywhere) {
  for (const char* path : {"/", "/metrics", "/livez", "/api/v1/status"}) {
    EXPECT_EQ(status("GET", path, "", "Host: evil.test\r\n"), 403) << path;
    EXPECT_EQ(status("GET", path, "", "Origin: http://evil.test\r\n"), 403) << path;
    EXPECT_EQ(status("GET", path, "", "Origin: null\r\n"), 403) << path;
  }
  EXPECT_EQ(status("POST", "/api/v1/messages/retry", "{}", "Origin: http://localhost:8025\r\n"),
            200);
  EXPECT_EQ(status("POST", "/api/v1/messages/retry", "{}", "Origin: http://localhost\r\n"), 403);
}

TEST_F(AdminServerTest, FormsOfOtherSitesCannotPost) {
  for (const char* type :
       {"text/plain", "application/x-www-form-urlencoded", "multipart/form-data"}) {
    EXPECT_EQ(status("POST", "/api/v1/messages/retry", "{}",
                     std::string("Content-Type: ") + type + "\r\n"),
              415);
  }
  EXPECT_EQ(control_.acts, 0);
  EXPECT_EQ(status("POST", "/api/v1/messages/retry", "{}",
                   "Content-Type: Application/JSON; charset=utf-8\r\n"),
            200);
}

class AdminServerWithToken : public AdminServerTest {
 protected:
  AdminServerWithToken() {
    server_.reset();
    config_.token = kToken;
    config_.hosts = {"Relay.Example.com"};
    start();
  }
  static std::string bearer(const std::string& token) {
    return "Authorization: Bearer " + token + "\r\n";
  }
};

TEST_F(AdminServerWithToken, OnlyHealthMetricsAndThePageAreOpen) {
  for (const char* path : {"/", "/livez", "/readyz", "/metrics"}) {
    EXPECT_EQ(status("GET", path), 200) << path;
  }
  for (const char* method : {"GET", "POST", "PUT", "DELETE"}) {
    for (const char* path :
         {"/api/v1/status", "/api/v1/queues", "/api/v1/queues/x/suspend", "/api/v1/messages",
          "/api/v1/messages/discard", "/api/v1/reload", "/api/v1/no-such-path"}) {
      EXPECT_EQ(status(method, path, std::string(method) == "POST" ? R"({"all":true})" : ""), 401)
          << method << path;
    }
  }
  EXPECT_EQ(control_.acts + control_.reloads, 0);
}

TEST_F(AdminServerWithToken, TheTokenOpens) {
  EXPECT_EQ(status("GET", "/api/v1/status", "", bearer(kToken)), 200);
  EXPECT_EQ(status("GET", "/api/v1/status", "", "Authorization: bearer s3cret-token\r\n"), 200);
  for (const char* wrong : {"", "s3cret-toke", "s3cret-token ", "s3cret-tokenx", "S3CRET-TOKEN"}) {
    EXPECT_EQ(
        status("GET", "/api/v1/status", "",
               std::string("Authorization: Bearer") + (*wrong == 0 ? "" : " ") + wrong + "x\r\n"),
        401);
  }
  EXPECT_EQ(status("GET", "/api/v1/status", "", "Authorization: Basic s3cret-token\r\n"), 401);
}

TEST_F(AdminServerWithToken, AReloadRotatesTokenAndHosts) {
  EXPECT_EQ(status("GET", "/livez", "", "Host: relay.example.com:8025\r\n"), 200);
  config_.token = "another";
  config_.hosts.clear();
  server_->reconfigure(config_);
  EXPECT_EQ(status("GET", "/api/v1/status", "", bearer(kToken)), 401);
  EXPECT_EQ(status("GET", "/api/v1/status", "", bearer("another")), 200);
  EXPECT_EQ(status("GET", "/livez", "", "Host: relay.example.com:8025\r\n"), 403);
}

TEST_F(AdminServerWithToken, GuessingIsStopped) {
  int refused = 0;
  for (int i = 0; i < 60; ++i) {
    refused += status("GET", "/api/v1/status", "", bearer("guess")) == 429 ? 1 : 0;
  }
  EXPECT_GE(refused, 30);
  EXPECT_EQ(status("GET", "/livez"), 200);
}

TEST(AdminServerStart, NeedsATokenWhereOthersCanAsk) {
  FakeControl control;
  metrics::Registry registry;
  RecordingLog log;
  AdminConfig config;
  config.listen = *Endpoint::parse("0.0.0.0:0");
  const auto server = AdminServer::create(config, control, registry, log);
  ASSERT_FALSE(server);
  EXPECT_EQ(server.error().code, Errc::InvalidArgument);
}

}  // namespace
}  // namespace sluice::relay
