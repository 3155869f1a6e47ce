// /api/v1/tracking: what became of messages, by any of their names or by id. docs/api.md describes
// it.
#pragma once

#include <span>
#include <string>

#include "net/http/http_server.h"
#include "relay/admin/control.h"

namespace sluice::relay {

// `path` is what follows "tracking": nothing, or an id.
net::HttpResponse answerTracking(const net::HttpRequest& request, std::span<const std::string> path,
                                 Control& control);

// "2026-11-24T08:21:32Z", with a fraction or without the time, or an age before `now`: "4h".
// Errors: InvalidArgument.
Result<WallTime> readMoment(std::string_view text, WallTime now);

}  // namespace sluice::relay
