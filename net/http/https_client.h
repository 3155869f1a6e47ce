// Asks HTTPS servers: policies, tokens, event receivers. Bounded in all it reads and waits for.
//
// Has a thread with a loop and a resolver of its own, so that no shard ever waits for a web server.
// HTTP/1.1, one request a connection; TLS and certificates are as for mail (BoringSSL, no shorter
// keys, names by RFC 9525). Redirects are answers like any other, and no environment variable
// names a proxy.
#pragma once

#include <deque>
#include <list>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "net/base/ip_address.h"
#include "net/base/result.h"
#include "net/base/unique_function.h"
#include "net/dns/resolver.h"
#include "net/http/http_answer.h"
#include "net/http/https_url.h"
#include "net/loop.h"
#include "net/tls/tls_client_context.h"

namespace sluice::net {

struct HttpsRequest {
  HttpsUrl url;
  std::string method = "GET";
  HttpHeaders headers;  // beside Host, User-Agent, Content-Length and Connection
  std::string body;
  std::shared_ptr<TlsClientContext> trust;         // whose certificates are believed
  Duration time_limit = std::chrono::seconds(30);  // for all of it, waiting for a turn included
  size_t max_body_bytes = 64 * 1024;               // of the answer
  // The host comes from the configuration: /etc/hosts counts, any address will do. Else private
  // addresses are refused, but for those in `allow_private`.
  bool host_is_configured = false;
  std::vector<IpNetwork> allow_private;
};

class HttpsClient {
 public:
  // An answer with any status, or: AddressRefused, Busy (too many wait), Cancelled (stopped),
  // Malformed, Timeout, TlsFailed, TooLarge, and what DNS and connections fail with.
  using Done = UniqueFunction<void(Result<HttpAnswer>)>;
  static constexpr size_t kMaxAtOnce = 32;
  static constexpr size_t kMaxWaiting = 1000;

  // Errors: Io (the resolver cannot be set up).
  static Result<std::unique_ptr<HttpsClient>> create(const ResolverOptions& dns);
  ~HttpsClient();  // stop()
  HttpsClient(const HttpsClient&) = delete;
  HttpsClient& operator=(const HttpsClient&) = delete;

  // Any thread. `done` is called once, on loop().
  void fetch(HttpsRequest request, Done done);
  // Its own loop, for those who keep time or files there. Lives as long as the client.
  Loop& loop() { return *loop_; }
  // Ends what is under way as Cancelled. What is asked for afterwards is dropped unanswered.
  void stop();

 private:
  class Exchange;
  explicit HttpsClient(std::unique_ptr<Loop> loop);
  void startNext();
  void onEnd(Exchange& exchange);

  std::unique_ptr<Loop> loop_;
  // On the loop only, as is the rest.
  std::unique_ptr<Resolver> resolver_;
  std::list<std::unique_ptr<Exchange>> exchanges_;
  std::deque<std::unique_ptr<Exchange>> waiting_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace sluice::net
