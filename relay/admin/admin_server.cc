#include "relay/admin/admin_server.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "relay/admin/api.h"
#include "relay/admin/api_json.h"
#include "relay/admin/front_page.h"
#include "relay/admin/live_sample.h"

namespace sluice::relay {
namespace {

using net::HttpRequest;
using net::HttpResponse;

// Streams hold a thread each, and must leave enough for everything else.
constexpr int kThreads = 8;

HttpResponse onlyGet() {
  HttpResponse refusal = errorResponse(405, "only GET");
  refusal.headers.emplace_back("Allow", "GET");
  return refusal;
}

// Samples of a stream: what `samples` says, without end otherwise. Errors: InvalidArgument.
Result<size_t> readSamples(const net::QueryParameters& query) {
  if (query.empty()) return LiveFeed::kUnbounded;
  if (query.size() > 1 || query.front().first != "samples") {
    return fail(Errc::InvalidArgument, "the only parameter is samples");
  }
  const std::string& text = query.front().second;
  size_t samples = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), samples);
  if (error != std::errc() || end != text.data() + text.size() || samples == 0) {
    return fail(Errc::InvalidArgument, "samples: a number from 1");
  }
  return samples;
}

}  // namespace

AdminServer::AdminServer(const AdminConfig& config, Control& control,
                         const metrics::Registry& metrics, EventLog& log)
    : guard_(config.listen, config.token, config.hosts),
      control_(control),
      metrics_(metrics),
      log_(log),
      board_(control),
      feed_([this] { return liveSample(control_, metrics_, board_); }) {}

AdminServer::~AdminServer() { feed_.stop(); }

Result<std::unique_ptr<AdminServer>> AdminServer::create(const AdminConfig& config,
                                                         Control& control,
                                                         const metrics::Registry& metrics,
                                                         EventLog& log) {
  if (config.token.empty() && !config.listen.address.isLoopback()) {
    return fail(Errc::InvalidArgument, "[admin] listen is not a loopback address: set token_file");
  }
  std::unique_ptr<AdminServer> server(new AdminServer(config, control, metrics, log));
  net::HttpServerOptions options;
  options.listen = config.listen;
  options.threads = kThreads + static_cast<int>(LiveFeed::kMaxStreams);
  ASSIGN_OR_RETURN(server->http_,
                   net::HttpServer::create(options, [self = server.get()](const auto& request) {
                     return self->answer(request);
                   }));
  return server;
}

void AdminServer::reconfigure(const AdminConfig& config) {
  guard_.change(config.token, config.hosts);
}

HttpResponse AdminServer::answer(const HttpRequest& request) {
  if (auto refusal = guard_.checkSite(request)) return std::move(*refusal);
  const auto& path = request.path;
  if (path.size() < 2 || path[0] != "api" || path[1] != "v1") return answerOpen(request);
  if (auto refusal = guard_.checkToken(request, Clock::system().steady())) {
    if (!request.authorization.empty()) {
      log_.logLimited("admin_refused", {LogLevel::Warn,
                                        "admin_refused",
                                        {{"client", request.remote},
                                         {"status", static_cast<int64_t>(refusal->status)}}});
    }
    return std::move(*refusal);
  }
  if (auto answer = answerDashboard(request)) return std::move(*answer);
  return answerApi(request, control_, log_);
}

std::optional<HttpResponse> AdminServer::answerDashboard(const HttpRequest& request) {
  if (request.path.size() != 3) return std::nullopt;
  if (request.path[2] == "stream") {
    if (request.method != "GET") return onlyGet();
    const auto samples = readSamples(request.query);
    return samples ? feed_.stream(*samples) : errorResponse(samples.error());
  }
  const auto named = [&](std::string_view name) {
    return std::any_of(request.query.begin(), request.query.end(),
                       [&](const auto& parameter) { return parameter.first == name; });
  };
  if (request.path[2] != "queues" || request.method != "GET") return std::nullopt;
  if (!named("sort") && !named("match")) return std::nullopt;
  return board_.answer(request.query);
}

// Scrapes at the same time share one.
HttpResponse AdminServer::answerMetrics() {
  HttpResponse response;
  response.content_type = metrics::Registry::kContentType;
  response.body = *expositions_.get(
      [this] { return std::make_shared<const std::string>(metrics_.exposition()); });
  return response;
}

HttpResponse AdminServer::answerOpen(const HttpRequest& request) {
  const auto& path = request.path;
  const std::string page = path.empty() ? "" : path[0];
  auto file = page.empty()                         ? frontPage("")
              : page == "page" && path.size() == 2 ? frontPage(path[1])
                                                   : std::nullopt;
  const bool known = file || page == "livez" || page == "readyz" || page == "metrics";
  if (!known || (path.size() > 1 && !file)) return errorResponse(404, "no such path");
  if (request.method != "GET") return onlyGet();
  if (file) return std::move(*file);
  if (page == "livez") return jsonResponse({{"live", true}});
  if (page == "metrics") return answerMetrics();
  const Readiness readiness = control_.readiness();
  if (!readiness.ready) return errorResponse(503, "not ready: " + readiness.why_not);
  return jsonResponse({{"ready", true}});
}

}  // namespace sluice::relay
