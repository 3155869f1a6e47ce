// A small HTTP/1.1 server for the administrator's side: bounded in all it reads and waits for.
//
// CivetWeb with a few threads of its own, away from the loops; one request a connection. The
// handler runs on these threads, several at once, and may block for some seconds. Plain HTTP: who
// wants TLS puts a proxy in front.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/base/ip_address.h"
#include "net/base/result.h"
#include "net/http/url.h"

struct mg_context;

namespace sluice::net {

// Headers are empty where they are missing; of those named here, a second one is refused.
struct HttpRequest {
  std::string method;             // as sent; "HEAD" comes as "GET", its body is left out
  std::vector<std::string> path;  // decoded segments
  QueryParameters query;
  std::string host;
  std::string origin;
  std::string authorization;
  std::string content_type;
  std::string body;
  std::string remote;  // address of the client
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;  // beside the usual ones
  // If set, the response goes on after `body`, without a length, with what this gives, for as long
  // as it gives something and the client takes it. It may block, and so holds its thread: bound how
  // many there are, and let it give nothing before the server is destroyed.
  std::function<std::optional<std::string>()> more;
};

struct HttpServerOptions {
  Endpoint listen;  // port 0: any free one
  int threads = 8;
  size_t max_header_bytes = 16 * 1024;
  size_t max_body_bytes = 256 * 1024;
  std::chrono::milliseconds request_timeout{5000};     // a whole header; then a whole body
  std::chrono::milliseconds response_timeout{60'000};  // a whole response, but for `more`
};

class HttpServer {
 public:
  using Handler = std::function<HttpResponse(const HttpRequest&)>;

  // Listens when it returns. Errors: Io (the address is taken or not ours), Unsupported.
  static Result<std::unique_ptr<HttpServer>> create(const HttpServerOptions& options,
                                                    Handler handler);
  ~HttpServer();  // waits for handlers that run
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  uint16_t port() const;

 private:
  HttpServer(const HttpServerOptions& options, Handler handler)
      : options_(options), handler_(std::move(handler)) {}
  friend struct HttpExchange;

  HttpServerOptions options_;
  Handler handler_;
  mg_context* context_ = nullptr;  // stopped by the destructor
};

// {"error": "…"} with this status.
HttpResponse httpError(int status, std::string_view what);

}  // namespace sluice::net
