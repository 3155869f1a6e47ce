#include "net/http/http_server.h"

#include <civetweb.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstring>
#include <optional>
#include <thread>

namespace sluice::net {
namespace {

using SteadyClock = std::chrono::steady_clock;

std::string_view reasonOf(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 411:
      return "Length Required";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    default:
      return status < 500 ? "Refused" : "Server Error";
  }
}

// Appends `text` as the content of a JSON string; what is no printable ASCII becomes '?'.
void appendPlain(std::string& out, std::string_view text) {
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c >= 0x20 && c < 0x7f ? c : '?';
  }
}

// The value of a header that may come once only. Errors: Malformed.
Result<std::optional<std::string>> onlyHeader(const mg_request_info& info, const char* name) {
  std::optional<std::string> value;
  for (int i = 0; i < info.num_headers; ++i) {
    if (strcasecmp(info.http_headers[i].name, name) != 0) continue;
    if (value) return fail(Errc::Malformed, std::string("more than one header ") + name);
    value = info.http_headers[i].value;
  }
  return value;
}

std::string headOf(const HttpResponse& response) {
  std::string head = "HTTP/1.1 " + std::to_string(response.status) + " ";
  head += reasonOf(response.status);
  head += "\r\nContent-Type: " + response.content_type;
  if (!response.more) head += "\r\nContent-Length: " + std::to_string(response.body.size());
  // Nothing here may be kept, guessed at, framed, or allowed to load anything by default.
  head +=
      "\r\nConnection: close\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff"
      "\r\nX-Frame-Options: DENY\r\nReferrer-Policy: no-referrer"
      "\r\nCross-Origin-Resource-Policy: same-origin";
  bool has_policy = false;
  for (const auto& [name, value] : response.headers) {
    head += "\r\n" + name + ": " + value;
    has_policy |= name == "Content-Security-Policy";
  }
  if (!has_policy) {
    head += "\r\nContent-Security-Policy: default-src 'none'; frame-ancestors 'none'";
  }
  return head += "\r\n\r\n";
}

// Connects and lets go.
void touch(const Endpoint& endpoint) {
  sockaddr_storage address{};
  endpoint.to(address);
  const int fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  // Refused or in progress, both will do.
  [[maybe_unused]] const int result =
      connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  close(fd);
}

}  // namespace

HttpResponse httpError(int status, std::string_view what) {
  HttpResponse response{.status = status};
  response.body = "{\"error\": \"";
  appendPlain(response.body, what);
  response.body += "\"}\n";
  return response;
}

// One request and its response on a connection of CivetWeb's.
struct HttpExchange {
  mg_connection* connection;
  HttpServer& server;

  static int onRequest(mg_connection* connection) {
    auto& server = *static_cast<HttpServer*>(mg_get_user_context_data(connection));
    return HttpExchange{connection, server}.answer();
  }

  // What CivetWeb refuses itself: malformed heads, for one.
  static int onError(mg_connection* connection, int status, const char*) {
    auto& server = *static_cast<HttpServer*>(mg_get_user_context_data(connection));
    HttpExchange{connection, server}.send(httpError(status, reasonOf(status)), false);
    return 0;
  }

  static int onLog(const mg_connection*, const char*) { return 1; }  // nothing on standard error

  int answer() {
    const mg_request_info& info = *mg_get_request_info(connection);
    const bool head_only = std::strcmp(info.request_method, "HEAD") == 0;
    HttpResponse response = respond(info);
    send(response, head_only);
    return response.status;
  }

  HttpResponse respond(const mg_request_info& info) {
    HttpRequest request;
    if (auto refusal = readHead(info, request)) return std::move(*refusal);
    if (auto refusal = readBody(info, request)) return std::move(*refusal);
    try {
      return server.handler_(request);
    } catch (const std::exception& thrown) {  // out of memory, or a library's
      return httpError(500, thrown.what());
    }
  }

  // Fills `request` but for its body; gives the refusal if there is something wrong.
  static std::optional<HttpResponse> readHead(const mg_request_info& info, HttpRequest& request) {
    if (info.num_headers >= MG_MAX_HEADERS) return httpError(431, "too many headers");
    const std::pair<const char*, std::string*> wanted[] = {
        {"Host", &request.host},
        {"Origin", &request.origin},
        {"Authorization", &request.authorization},
        {"Content-Type", &request.content_type}};
    for (const auto& [name, value] : wanted) {
      auto header = onlyHeader(info, name);
      if (!header) return httpError(400, header.error().detail);
      if (*header) *value = std::move(**header);
    }
    const auto length = onlyHeader(info, "Content-Length");
    const auto encoding = onlyHeader(info, "Transfer-Encoding");
    if (!length || !encoding) return httpError(400, "more than one length");
    if (*length && *encoding) return httpError(400, "Content-Length and Transfer-Encoding");
    if (*encoding) return httpError(411, "send a Content-Length");
    if (request.host.empty()) return httpError(400, "no Host");
    auto path = splitPath(info.request_uri);
    if (!path) return httpError(400, path.error().detail);
    auto query = splitQuery(info.query_string != nullptr ? info.query_string : "");
    if (!query) return httpError(400, query.error().detail);
    request.path = std::move(*path);
    request.query = std::move(*query);
    request.method = info.request_method;
    if (request.method == "HEAD") request.method = "GET";
    request.remote = info.remote_addr;
    return std::nullopt;
  }

  // CivetWeb waits for all that a read asks for, however slowly it trickles: asking for single
  // bytes is what lets the deadline hold. What came with the head is in memory already.
  std::optional<HttpResponse> readBody(const mg_request_info& info, HttpRequest& request) {
    if (info.content_length <= 0) return std::nullopt;
    const auto length = static_cast<unsigned long long>(info.content_length);
    if (length > server.options_.max_body_bytes) return httpError(413, "the body is too large");
    const auto deadline = SteadyClock::now() + server.options_.request_timeout;
    request.body.reserve(length);
    while (request.body.size() < length) {
      char byte = 0;
      if (mg_read(connection, &byte, 1) != 1) return httpError(400, "the body is cut off");
      request.body += byte;
      if (SteadyClock::now() > deadline) return httpError(408, "the body comes too slowly");
    }
    return std::nullopt;
  }

  void send(const HttpResponse& response, bool head_only) {
    constexpr size_t kPiece = 64 * 1024;
    const auto deadline = SteadyClock::now() + server.options_.response_timeout;
    const std::string head = headOf(response);
    // Else CivetWeb reads what is left of a refused body first, for as long as it trickles.
    mg_disable_connection_keep_alive(connection);
    if (mg_write(connection, head.data(), head.size()) <= 0 || head_only) return;
    std::string_view left = response.body;
    while (!left.empty() && SteadyClock::now() < deadline) {
      const std::string_view piece = left.substr(0, kPiece);
      if (mg_write(connection, piece.data(), piece.size()) <= 0) return;
      left.remove_prefix(piece.size());
    }
    while (response.more) {
      const std::optional<std::string> next = response.more();
      if (!next || mg_write(connection, next->data(), next->size()) <= 0) return;
    }
  }
};

Result<std::unique_ptr<HttpServer>> HttpServer::create(const HttpServerOptions& options,
                                                       Handler handler) {
  std::unique_ptr<HttpServer> server(new HttpServer(options, std::move(handler)));
  const std::string listen = options.listen.toString();
  const std::string threads = std::to_string(options.threads);
  const std::string header_bytes = std::to_string(options.max_header_bytes);
  const std::string timeout = std::to_string(options.request_timeout.count());
  const char* settings[] = {
      "listening_ports", listen.c_str(), "num_threads", threads.c_str(), "max_request_size",
      header_bytes.c_str(), "request_timeout_ms", timeout.c_str(), "enable_keep_alive", "no",
      "connection_queue", "256", "linger_timeout_ms", "500",
      // Names of files mean nothing, URLs are taken apart by us, and no other site may ask.
      "decode_url", "no", "enable_directory_listing", "no", "access_control_allow_origin", "",
      "access_control_allow_methods", "", "access_control_allow_headers", "", nullptr};
  mg_callbacks callbacks{};
  callbacks.begin_request = &HttpExchange::onRequest;
  callbacks.http_error = &HttpExchange::onError;
  callbacks.log_message = &HttpExchange::onLog;
  server->context_ = mg_start(&callbacks, server.get(), settings);
  if (server->context_ == nullptr) return fail(Errc::Io, "cannot listen on " + listen);
  return server;
}

// CivetWeb's listening thread looks every two seconds whether it is to stop, and at each connection
// that comes: so that a stop does not take that long, connections are made to it.
HttpServer::~HttpServer() {
  if (context_ == nullptr) return;
  Endpoint ours = options_.listen;
  ours.port = port();
  std::atomic<bool> stopped{false};
  std::thread stopper([&] {
    mg_stop(context_);
    stopped = true;
  });
  while (!stopped) {
    touch(ours);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  stopper.join();
}

uint16_t HttpServer::port() const {
  std::array<mg_server_port, 4> ports{};
  const int count = mg_get_server_ports(context_, static_cast<int>(ports.size()), ports.data());
  return count > 0 ? static_cast<uint16_t>(ports[0].port) : 0;
}

}  // namespace sluice::net
