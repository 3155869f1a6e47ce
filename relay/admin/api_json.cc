#include "relay/admin/api_json.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "relay/admin/why.h"

namespace sluice::relay {
namespace {

using nlohmann::ordered_json;
using queue::RecipientState;

ordered_json timeOrNull(const std::optional<WallTime>& time) {
  return time ? ordered_json(formatRfc3339(*time)) : ordered_json();
}

ordered_json textOrNull(const std::string& text) {
  return text.empty() ? ordered_json() : ordered_json(text);
}

std::string shownPath(const std::string& reverse_path) {
  return reverse_path.empty() ? "<>" : reverse_path;
}

std::optional<WallTime> nextAttempt(const queue::RecipientStatus& recipient) {
  return recipient.state == RecipientState::Deferred ? recipient.next_attempt : std::nullopt;
}

ordered_json limitsJson(const DestinationStatus& destination) {
  if (destination.max_connections == 0) return nullptr;
  return {{"max_connections", destination.max_connections}, {"rate", textOrNull(destination.rate)}};
}

ordered_json toJson(const Why& why) {
  if (why.empty()) return nullptr;
  return {{"cause", why.cause},
          {"text", why.text},
          {"since", timeOrNull(why.since)},
          {"until", timeOrNull(why.until)},
          {"command", textOrNull(why.command)}};
}

ordered_json recipientJson(const MessageView::Recipient& recipient, const std::string& id) {
  Why why = recipient.why;
  if (why.cause == "retry" || why.cause == "held") why.command += " " + id;
  const queue::RecipientStatus& status = recipient.status;
  return {{"recipient", status.recipient},
          {"destination", textOrNull(recipient.destination)},
          {"connector", textOrNull(recipient.connector)},
          {"state", queue::toString(status.state)},
          {"attempts", status.attempts.attempts},
          {"last_reply", textOrNull(status.attempts.last_reply)},
          {"next_attempt", timeOrNull(nextAttempt(status))},
          {"why", toJson(why)}};
}

// One word for all recipients: the liveliest of their states.
RecipientState stateOf(const MessageView& message) {
  for (const RecipientState state :
       {RecipientState::Active, RecipientState::Ready, RecipientState::Deferred}) {
    for (const auto& recipient : message.recipients) {
      if (recipient.status.state == state) return state;
    }
  }
  return RecipientState::Held;
}

int httpStatusOf(Errc code) {
  switch (code) {
    case Errc::InvalidArgument:
    case Errc::Malformed:
      return 400;
    case Errc::TooLarge:
      return 413;
    case Errc::NotFound:
      return 404;
    case Errc::Exists:
    case Errc::Busy:
      return 409;
    case Errc::Timeout:
      return 504;
    case Errc::Cancelled:
    case Errc::NoSpace:
      return 503;
    case Errc::Closed:
    case Errc::Reset:
    case Errc::Refused:
    case Errc::Unreachable:
    case Errc::Io:
    case Errc::Corrupt:
    case Errc::Unsupported:
    case Errc::NoDomain:
    case Errc::NoData:
    case Errc::NullMx:
    case Errc::DnsFailed:
    case Errc::LoopsToUs:
    case Errc::AddressRefused:
    case Errc::TlsFailed:
    case Errc::TlsMissing:
    case Errc::AuthFailed:
      return 500;
  }
  return 500;
}

}  // namespace

ordered_json toJson(const QueueStatus& queue) {
  const DestinationStatus& destination = queue.destination;
  return {{"destination", destination.destination},
          {"connector", textOrNull(destination.connector)},
          {"state", destination.state},
          {"ready", queue.ready},
          {"active", queue.active},
          {"deferred", queue.deferred},
          {"held", queue.held},
          {"oldest", timeOrNull(queue.oldest)},
          {"connections", destination.connections},
          {"limits", limitsJson(destination)},
          {"last_reply", textOrNull(destination.last_reply)},
          {"next_attempt", timeOrNull(destination.next_attempt)},
          {"why", toJson(whyOf(queue))}};
}

ordered_json toJson(const MessageView& message) {
  const queue::Envelope& envelope = *message.envelope;
  uint32_t attempts = 0;
  std::optional<WallTime> next;
  ordered_json recipients = ordered_json::array();
  for (const auto& recipient : message.recipients) {
    attempts = std::max(attempts, recipient.status.attempts.attempts);
    const auto due = nextAttempt(recipient.status);
    if (due && (!next || *due < *next)) next = due;
    recipients.push_back(recipientJson(recipient, message.id.toString()));
  }
  return {{"id", message.id.toString()},
          {"sender", shownPath(envelope.reverse_path)},
          {"size", envelope.content_bytes},
          {"received", formatRfc3339(envelope.received_at)},
          {"state", queue::toString(stateOf(message))},
          {"attempts", attempts},
          {"next_attempt", timeOrNull(next)},
          {"connector", textOrNull(envelope.receive_connector)},
          {"client", textOrNull(envelope.client)},
          {"recipients", std::move(recipients)}};
}

ordered_json toJson(const RelayStatus& status, WallTime now) {
  const auto up = std::chrono::duration_cast<std::chrono::seconds>(now - status.started_at);
  ordered_json drain_left;
  if (status.drain_ends) {
    drain_left = std::max<int64_t>(
        0, std::chrono::duration_cast<std::chrono::seconds>(*status.drain_ends - now).count());
  }
  return {{"version", status.version},
          {"hostname", status.hostname},
          {"started", formatRfc3339(status.started_at)},
          {"uptime", up.count()},
          {"ready", status.ready},
          {"why_not_ready", textOrNull(status.why_not_ready)},
          {"draining", status.draining},
          {"drain_left", std::move(drain_left)},
          {"connections", {{"in", status.connections_in}, {"out", status.connections_out}}},
          {"shards", status.shards},
          {"messages", status.store.messages},
          {"recipients",
           {{"ready", status.ready_recipients},
            {"active", status.active},
            {"deferred", status.deferred},
            {"held", status.held}}},
          {"oldest", timeOrNull(status.oldest)},
          {"store",
           {{"ready", status.store.ready},
            {"writable", status.store.writable},
            {"space", status.store.space},
            {"counted", status.store.walk_complete},
            {"disk_free_bytes", status.store.disk_free_bytes},
            {"content_bytes", status.store.content_bytes},
            {"recovery_dropped_bytes", status.store.recovery_dropped_bytes},
            {"quarantined_messages", status.store.quarantined_messages}}}};
}

ordered_json toJson(const queue::ActionResult& result) {
  return {{"matched", result.matched}, {"changed", result.changed}};
}

ordered_json listJson(ordered_json items, const std::string& next) {
  return {{"items", std::move(items)}, {"next", textOrNull(next)}};
}

net::HttpResponse jsonResponse(const ordered_json& body) {
  net::HttpResponse response;
  response.body = body.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
  return response;
}

net::HttpResponse errorResponse(int status, std::string_view what) {
  net::HttpResponse response = jsonResponse({{"error", std::string(what)}});
  response.status = status;
  return response;
}

net::HttpResponse errorResponse(const Error& error) {
  const std::string what = error.detail.empty() ? std::string(toString(error.code)) : error.detail;
  return errorResponse(httpStatusOf(error.code), what);
}

}  // namespace sluice::relay
