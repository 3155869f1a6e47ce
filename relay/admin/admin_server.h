// The admin address: health, metrics, and the API over a Control. docs/api.md says what each path
// does.
//
// Answers on threads of its own. The Control, the registry and the log outlive it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "metrics/registry.h"
#include "net/http/http_server.h"
#include "relay/admin/access_guard.h"
#include "relay/admin/control.h"
#include "relay/admin/destination_board.h"
#include "relay/admin/live_feed.h"
#include "relay/admin/single_flight.h"
#include "relay/config/config.h"
#include "relay/log/event_log.h"

namespace sluice::relay {

class AdminServer {
 public:
  // Errors: Io (cannot listen), InvalidArgument (no token, and others than this machine could ask).
  static Result<std::unique_ptr<AdminServer>> create(const AdminConfig& config, Control& control,
                                                     const metrics::Registry& metrics,
                                                     EventLog& log);
  ~AdminServer();
  uint16_t port() const { return http_->port(); }
  // What a reload may change: token and host names.
  void reconfigure(const AdminConfig& config);

 private:
  AdminServer(const AdminConfig& config, Control& control, const metrics::Registry& metrics,
              EventLog& log);
  net::HttpResponse answer(const net::HttpRequest& request);
  net::HttpResponse answerOpen(const net::HttpRequest& request);
  net::HttpResponse answerMetrics();
  // What the dashboard asks for beside the API's own; nothing if it is not that.
  std::optional<net::HttpResponse> answerDashboard(const net::HttpRequest& request);

  AccessGuard guard_;
  Control& control_;
  const metrics::Registry& metrics_;
  EventLog& log_;
  SingleFlight<std::shared_ptr<const std::string>> expositions_;
  DestinationBoard board_;
  LiveFeed feed_;
  std::unique_ptr<net::HttpServer> http_;  // last: its threads use the others
};

}  // namespace sluice::relay
