// The paths below /api/v1: what is asked of Control, and what is answered.
//
// Whoever gets here may ask: Host, Origin and token have been checked. Any thread.
#pragma once

#include "net/http/http_server.h"
#include "relay/admin/control.h"
#include "relay/log/event_log.h"

namespace sluice::relay {

// `request.path` begins with "api", "v1".
net::HttpResponse answerApi(const net::HttpRequest& request, Control& control, EventLog& log);

}  // namespace sluice::relay
