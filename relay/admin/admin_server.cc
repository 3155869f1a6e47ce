#include "relay/admin/admin_server.h"

#include <nlohmann/json.hpp>

#include "relay/admin/api.h"
#include "relay/admin/api_json.h"

namespace sluice::relay {
namespace {

using net::HttpRequest;
using net::HttpResponse;

std::string escapeHtml(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '<':
        out += "&lt;";
        break;
      case '&':
        out += "&amp;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

// Static and open, so it shows nothing of the mail.
HttpResponse frontPage(const std::string& version) {
  HttpResponse response;
  response.content_type = "text/html; charset=utf-8";
  response.body =
      "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\">"
      "<meta name=\"color-scheme\" content=\"light dark\"><title>Sluice</title></head>\n<body>\n"
      "<h1>Sluice</h1>\n<p>Mail relay, version " +
      escapeHtml(version) +
      ".</p>\n<ul>\n"
      "<li><a href=\"readyz\">Is it ready?</a></li>\n"
      "<li><a href=\"metrics\">Metrics</a> for Prometheus</li>\n"
      "<li><a href=\"api/v1/status\">Status</a>, <a href=\"api/v1/queues\">queues</a> and "
      "<a href=\"api/v1/messages\">messages</a> as JSON, with the token where one is set</li>\n"
      "</ul>\n<p>The same on a terminal: <code>sluice status</code>, <code>sluice queue</code>, "
      "<code>sluice message list</code>.</p>\n</body>\n</html>\n";
  return response;
}

}  // namespace

AdminServer::AdminServer(const AdminConfig& config, Control& control,
                         const metrics::Registry& metrics, EventLog& log)
    : guard_(config.listen, config.token, config.hosts),
      control_(control),
      metrics_(metrics),
      log_(log) {}

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
  return answerApi(request, control_, log_);
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
  const std::string page = request.path.empty() ? "" : request.path[0];
  const bool known = page.empty() || page == "livez" || page == "readyz" || page == "metrics";
  if (!known || request.path.size() > 1) return errorResponse(404, "no such path");
  if (request.method != "GET") {
    HttpResponse refusal = errorResponse(405, "only GET");
    refusal.headers.emplace_back("Allow", "GET");
    return refusal;
  }
  if (page == "livez") return jsonResponse({{"live", true}});
  if (page == "metrics") return answerMetrics();
  if (page == "readyz") {
    const Readiness readiness = control_.readiness();
    if (!readiness.ready) return errorResponse(503, "not ready: " + readiness.why_not);
    return jsonResponse({{"ready", true}});
  }
  return frontPage(control_.version());
}

}  // namespace sluice::relay
