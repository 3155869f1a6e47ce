// The objects of the admin API as JSON; docs/api.md describes them. Pure.
//
// Times are RFC 3339, durations seconds, what is not known is null. Bytes that are not UTF-8 are
// replaced.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "net/http/http_server.h"
#include "relay/admin/control.h"

namespace sluice::relay {

nlohmann::ordered_json toJson(const QueueStatus& queue);
nlohmann::ordered_json toJson(const MessageView& message);
nlohmann::ordered_json toJson(const RelayStatus& status, WallTime now);
nlohmann::ordered_json toJson(const queue::ActionResult& result);

// {"items": […], "next": "cursor" | null}
nlohmann::ordered_json listJson(nlohmann::ordered_json items, const std::string& next);

net::HttpResponse jsonResponse(const nlohmann::ordered_json& body);
// {"error": "…"} with the status that fits the error's code.
net::HttpResponse errorResponse(const Error& error);
net::HttpResponse errorResponse(int status, std::string_view what);

}  // namespace sluice::relay
