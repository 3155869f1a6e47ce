#include "net/http/https_client.h"

#include <gmock/gmock.h>

#include <condition_variable>
#include <functional>
#include <mutex>

#include "net/listener.h"
#include "net/tls/tls_stream.h"
#include "tests/unit/net/tls/tls_fakes.h"

namespace sluice::net {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

// A web server on a thread of its own: says what a test wants to each request.
class FakeWebServer {
 public:
  using Say = std::function<std::string(const std::string& request)>;

  FakeWebServer(std::shared_ptr<const TlsServerContext> tls, Say say)
      : tls_(std::move(tls)), say_(std::move(say)) {
    const int socket = *bindListener(*Endpoint::parse("127.0.0.1:0"));
    port_ = localEndpoint(socket).port;
    listener_ = std::move(*Listener::create(
        *loop_, socket, [this](std::unique_ptr<TcpStream> stream) { take(std::move(stream)); }));
    thread_ = std::thread([this] { loop_->run(); });
  }
  ~FakeWebServer() {
    loop_->stop();
    thread_.join();
    sessions_.clear();
    listener_.reset();
  }
  uint16_t port() const { return port_; }

 private:
  struct Session : Stream::Handler {
    explicit Session(FakeWebServer& server) : server(server) {}
    void onRead(std::string_view bytes) override {
      request.append(bytes);
      if (request.find("\r\n\r\n") == std::string::npos) return;
      const std::string answer = server.say_(request);
      if (answer.empty()) return;  // never
      stream->write(answer);
      stream->finish();
    }
    void onEnd(const Error&) override {}
    FakeWebServer& server;
    std::unique_ptr<TlsStream> stream;
    std::string request;
  };

  void take(std::unique_ptr<TcpStream> stream) {
    auto session = std::make_unique<Session>(*this);
    session->stream = TlsStream::server(*loop_, std::move(stream), tls_, [] {});
    session->stream->setHandler(session.get());
    sessions_.push_back(std::move(session));
  }

  std::unique_ptr<Loop> loop_ = std::move(*Loop::create());
  std::shared_ptr<const TlsServerContext> tls_;
  Say say_;
  std::unique_ptr<Listener> listener_;
  std::vector<std::unique_ptr<Session>> sessions_;
  uint16_t port_ = 0;
  std::thread thread_;
};

struct HttpsClientTest : testing::Test {
  MadeCertificate authority{"Test CA", ""};
  MadeCertificate good{"good", "IP:127.0.0.1", &authority};
  MadeCertificate other{"other", "DNS:other.test,IP:127.0.0.9", &authority};
  std::unique_ptr<HttpsClient> client = std::move(*HttpsClient::create({}));
  std::mutex mutex;
  std::condition_variable changed;
  std::optional<Result<HttpAnswer>> heard;

  static std::shared_ptr<const TlsServerContext> contextOf(const MadeCertificate& made) {
    TlsServerOptions options;
    options.identities.push_back(
        std::move(*TlsIdentity::of(*TlsCertificates::parse(made.pem()), made.keyPem())));
    options.scope = "web";
    return *TlsServerContext::create(options, std::make_shared<TicketKeys>());
  }
  HttpsRequest requestTo(uint16_t port, const std::string& target = "/") {
    HttpsRequest request;
    request.url = *HttpsUrl::parse("https://127.0.0.1:" + std::to_string(port) + target);
    request.trust = *TlsClientContext::create(*TlsCertificates::parse(authority.pem()));
    request.host_is_configured = true;
    return request;
  }
  void begin(HttpsRequest request) {
    client->fetch(std::move(request), [this](Result<HttpAnswer> answer) {
      const std::lock_guard lock(mutex);
      heard = std::move(answer);
      changed.notify_all();
    });
  }
  Result<HttpAnswer> wait() {
    std::unique_lock lock(mutex);
    changed.wait_for(lock, 20s, [&] { return heard.has_value(); });
    return heard.value_or(fail(Errc::Cancelled, "hung"));
  }
  Result<HttpAnswer> ask(HttpsRequest request) {
    begin(std::move(request));
    return wait();
  }
  static Errc codeOf(const Result<HttpAnswer>& result) {
    EXPECT_FALSE(result);
    return result ? Errc::Exists : result.error().code;
  }
};

const std::string kHello = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

TEST_F(HttpsClientTest, AsksAndHears) {
  std::string seen;
  FakeWebServer server(contextOf(good), [&](const std::string& request) {
    seen = request;
    return kHello;
  });
  HttpsRequest request = requestTo(server.port(), "/token?a=b");
  request.method = "POST";
  request.headers = {{"Content-Type", "text/plain"}};
  request.body = "body";
  const auto answer = ask(std::move(request));
  ASSERT_TRUE(answer) << answer.error().detail;
  EXPECT_EQ(answer->body, "hello");
  EXPECT_THAT(seen, testing::StartsWith("POST /token?a=b HTTP/1.1\r\nHost: 127.0.0.1:"));
  EXPECT_THAT(seen, HasSubstr("\r\nContent-Type: text/plain\r\n"));
  EXPECT_THAT(seen, HasSubstr("\r\nContent-Length: 4\r\n"));
  EXPECT_THAT(seen, testing::EndsWith("\r\n\r\nbody"));
}

TEST_F(HttpsClientTest, BelievesNoOtherName) {
  FakeWebServer server(contextOf(other), [](const std::string&) { return kHello; });
  EXPECT_EQ(codeOf(ask(requestTo(server.port()))), Errc::TlsFailed);
}

TEST_F(HttpsClientTest, BelievesNoOtherAuthority) {
  FakeWebServer server(contextOf(good), [](const std::string&) { return kHello; });
  HttpsRequest request = requestTo(server.port());
  const MadeCertificate strange("Strange CA", "");
  request.trust = *TlsClientContext::create(*TlsCertificates::parse(strange.pem()));
  EXPECT_EQ(codeOf(ask(std::move(request))), Errc::TlsFailed);
}

TEST_F(HttpsClientTest, FollowsNoRedirect) {
  FakeWebServer server(contextOf(good), [](const std::string&) {
    return "HTTP/1.1 302 Found\r\nLocation: https://127.0.0.1/\r\nContent-Length: 0\r\n\r\n";
  });
  EXPECT_EQ(ask(requestTo(server.port()))->status, 302);
}

TEST_F(HttpsClientTest, ReadsNoMoreThanItWants) {
  FakeWebServer server(contextOf(good), [](const std::string&) {
    return "HTTP/1.1 200 OK\r\n\r\n" + std::string(1'000'000, 'x');
  });
  EXPECT_EQ(codeOf(ask(requestTo(server.port()))), Errc::TooLarge);
}

TEST_F(HttpsClientTest, WaitsNoLongerThanItWants) {
  FakeWebServer server(contextOf(good), [](const std::string&) { return std::string(); });
  HttpsRequest request = requestTo(server.port());
  request.time_limit = 100ms;
  EXPECT_EQ(codeOf(ask(std::move(request))), Errc::Timeout);
}

TEST_F(HttpsClientTest, GoesNowherePrivateUnlessToldSo) {
  FakeWebServer server(contextOf(good), [](const std::string&) { return kHello; });
  HttpsRequest request = requestTo(server.port());
  request.host_is_configured = false;
  EXPECT_EQ(codeOf(ask(request)), Errc::AddressRefused);
  heard.reset();
  request.allow_private = {*IpNetwork::parse("127.0.0.0/8")};
  EXPECT_TRUE(ask(request));
}

TEST_F(HttpsClientTest, NobodyListens) {
  const int socket = *bindListener(*Endpoint::parse("127.0.0.1:0"));
  EXPECT_EQ(codeOf(ask(requestTo(localEndpoint(socket).port))), Errc::Refused);
  ::close(socket);
}

TEST_F(HttpsClientTest, StoppingAnswersWhatIsUnderWay) {
  FakeWebServer server(contextOf(good), [](const std::string&) { return std::string(); });
  begin(requestTo(server.port()));
  client->stop();
  EXPECT_EQ(codeOf(wait()), Errc::Cancelled);
}

}  // namespace
}  // namespace sluice::net
