#include "relay/admin/api_tracking.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "relay/admin/api_filters.h"
#include "relay/admin/api_json.h"

namespace sluice::relay {
namespace {

using net::HttpResponse;
using nlohmann::ordered_json;
using queue::MessageId;
using queue::TrackedMessage;
using queue::TrackEvent;
using queue::TrackKind;

constexpr size_t kMaxTextBytes = 998;  // a Message-ID fills a line at most

struct TrackRequest {
  queue::TrackQuery query;
  std::optional<queue::TrackPlace> before;
  size_t limit = kDefaultPage;
};

std::string textOf(const queue::TrackPlace& place) {
  return std::to_string(place.key_us) + "-" + std::to_string(place.index);
}

template <class Number>
bool readNumber(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

Result<queue::TrackPlace> readPlace(std::string_view text) {
  queue::TrackPlace place;
  const size_t dash = text.find('-');
  if (dash == std::string_view::npos || !readNumber(text.substr(0, dash), place.key_us) ||
      !readNumber(text.substr(dash + 1), place.index)) {
    return fail(Errc::InvalidArgument, "cursor: not one of ours");
  }
  return place;
}

Result<void> readParameter(const std::string& name, const std::string& value,
                           TrackRequest& request) {
  if (value.empty() || value.size() > kMaxTextBytes) {
    return fail(Errc::InvalidArgument, name + ": empty or too long");
  }
  const std::pair<std::string_view, std::string*> texts[] = {
      {"any", &request.query.any},
      {"sender", &request.query.sender},
      {"recipient", &request.query.recipient},
      {"message_id", &request.query.message_id},
      {"destination", &request.query.destination},
  };
  for (const auto& [known, member] : texts) {
    if (name != known) continue;
    *member = value;
    return {};
  }
  const WallTime now = Clock::system().wall();
  if (name == "since") {
    ASSIGN_OR_RETURN(request.query.since, readMoment(value, now));
  } else if (name == "until") {
    ASSIGN_OR_RETURN(request.query.until, readMoment(value, now));
  } else if (name == "cursor") {
    ASSIGN_OR_RETURN(request.before, readPlace(value));
  } else if (name == "limit") {
    if (!readNumber(value, request.limit) || request.limit == 0 || request.limit > kMaxPage) {
      return fail(Errc::InvalidArgument, "limit: a number from 1 to " + std::to_string(kMaxPage));
    }
  } else {
    return fail(Errc::InvalidArgument, "no such parameter: " + name);
  }
  return {};
}

Result<TrackRequest> readRequest(const net::QueryParameters& query) {
  TrackRequest request;
  std::set<std::string_view> seen;
  for (const auto& [name, value] : query) {
    if (!seen.insert(name).second) return fail(Errc::InvalidArgument, name + ": given twice");
    RETURN_IF_ERROR(readParameter(name, value, request));
  }
  return request;
}

// --- One message --------------------------------------------------------------------------------

ordered_json textOrNull(std::string_view text) {
  return text.empty() ? ordered_json() : ordered_json(text);
}

// What the events say of one recipient, so far.
struct RecipientLife {
  std::string_view destination;
  std::string_view state = "queued";
  uint32_t attempts = 0;
  std::string last_reply;
  std::optional<WallTime> ended;
};

struct MessageLife {
  const TrackEvent* accepted = nullptr;
  std::vector<std::string_view> order;
  std::map<std::string_view, RecipientLife> recipients;
};

std::string replyOf(const TrackEvent& event) {
  std::string reply;
  if (event.code > 0) reply += std::to_string(event.code) + " ";
  if (!event.status.empty()) reply.append(event.status).append(" ");
  return reply.append(event.reply);
}

void take(const TrackEvent& event, RecipientLife& life) {
  const bool attempted = event.attempts > 0 || queue::isEnd(event.kind);
  if (!event.destination.empty()) life.destination = event.destination;
  if (event.attempts > 0) life.attempts = event.attempts;
  if (attempted && !event.reply.empty()) life.last_reply = replyOf(event);
  life.state = event.kind == TrackKind::Released ? "queued" : queue::toString(event.kind);
  if (queue::isEnd(event.kind)) life.ended = event.time;
}

MessageLife lifeOf(const TrackedMessage& message) {
  MessageLife life;
  for (const TrackEvent& event : message.events) {
    if (event.kind == TrackKind::Notice) continue;
    if (event.kind == TrackKind::Accepted) life.accepted = &event;
    if (event.kind == TrackKind::Undone) {
      for (auto& [name, recipient] : life.recipients) take(event, recipient);
    }
    for (const std::string_view name : event.recipients) {
      const auto [at, fresh] = life.recipients.try_emplace(name);
      if (fresh) life.order.push_back(name);
      if (event.kind == TrackKind::Accepted) {
        at->second.destination = name.substr(std::min(name.size(), name.rfind('@') + 1));
      } else {
        take(event, at->second);
      }
    }
  }
  return life;
}

// "delivered" if all were; what is worse counts for all.
std::string_view stateOf(const MessageLife& life) {
  constexpr std::string_view kWorst[] = {"bounced", "expired", "discarded", "undone"};
  std::string_view state = life.recipients.empty() ? "queued" : "delivered";
  for (const auto& [name, recipient] : life.recipients) {
    if (!recipient.ended) return "queued";
  }
  for (const std::string_view worst : kWorst) {
    const auto fared = [&](const auto& one) { return one.second.state == worst; };
    if (std::any_of(life.recipients.begin(), life.recipients.end(), fared)) return worst;
  }
  return state;
}

ordered_json messageJson(const TrackedMessage& message) {
  const MessageLife life = lifeOf(message);
  const TrackEvent none{};
  const TrackEvent& accepted = life.accepted ? *life.accepted : none;
  const std::string_view state = stateOf(life);
  uint32_t attempts = 0;
  std::optional<WallTime> ended;
  ordered_json recipients = ordered_json::array();
  for (const std::string_view name : life.order) {
    const RecipientLife& one = life.recipients.at(name);
    attempts = std::max(attempts, one.attempts);
    if (one.ended && state != "queued") ended = std::max(ended.value_or(*one.ended), *one.ended);
    recipients.push_back(
        {{"recipient", name},
         {"destination", textOrNull(one.destination)},
         {"state", one.state},
         {"attempts", one.attempts},
         {"last_reply", textOrNull(one.last_reply)},
         {"ended", one.ended ? ordered_json(formatRfc3339(*one.ended)) : ordered_json()}});
  }
  const bool known = life.accepted != nullptr;
  return {{"id", message.id.toString()},
          {"message_id", textOrNull(accepted.message_id)},
          {"sender", !known                    ? ordered_json()
                     : accepted.sender.empty() ? ordered_json("<>")
                                               : ordered_json(accepted.sender)},
          {"size", known ? ordered_json(accepted.size) : ordered_json()},
          {"received", formatRfc3339(known ? accepted.time : message.id.acceptedAt())},
          {"connector", textOrNull(accepted.connector)},
          {"client", textOrNull(accepted.address)},
          {"tls", textOrNull(accepted.tls)},
          {"user", textOrNull(accepted.user)},
          {"state", state},
          {"attempts", attempts},
          {"ended", ended ? ordered_json(formatRfc3339(*ended)) : ordered_json()},
          {"recipients", std::move(recipients)}};
}

double secondsOf(std::chrono::microseconds time) { return static_cast<double>(time.count()) / 1e6; }

ordered_json eventJson(const TrackEvent& event) {
  ordered_json out{{"time", formatRfc3339(event.time)}, {"event", queue::toString(event.kind)}};
  if (!event.recipients.empty()) out["recipients"] = event.recipients;
  const auto add = [&out](const char* name, std::string_view text) {
    if (!text.empty()) out[name] = text;
  };
  add("connector", event.connector);
  add("destination", event.destination);
  add("mx", event.mx);
  add("address", event.address);
  add("tls", event.tls);
  add("user", event.user);
  if (event.code > 0) out["code"] = event.code;
  add("status", event.status);
  add("reply", event.reply);
  if (event.attempts > 0) out["attempts"] = event.attempts;
  if (event.kind != TrackKind::Accepted)
    out["delay_s"] = secondsOf(event.time - event.id.acceptedAt());
  // A quick host answers within one turn of the loop's clock: then it took nothing that we can see.
  if (event.attempts > 0 && !event.mx.empty()) out["duration_s"] = secondsOf(event.took);
  if (event.next_attempt) out["next_attempt"] = formatRfc3339(*event.next_attempt);
  return out;
}

// --- Answers ------------------------------------------------------------------------------------

HttpResponse list(const net::HttpRequest& request, const queue::Tracking& tracking) {
  const auto wanted = readRequest(request.query);
  if (!wanted) return errorResponse(wanted.error());
  queue::TrackedPage page;
  const auto id = MessageId::parse(wanted->query.any);
  if (id) {
    page.ids = {*id};
  } else {
    auto found = tracking.find(wanted->query, wanted->before, wanted->limit);
    if (!found) return errorResponse(found.error());
    page = std::move(*found);
  }
  const auto lives = tracking.lives(page.ids);
  if (!lives) return errorResponse(lives.error());
  ordered_json items = ordered_json::array();
  for (const TrackedMessage& message : *lives) {
    if (!message.events.empty()) items.push_back(messageJson(message));
  }
  return jsonResponse(listJson(std::move(items), page.next ? textOf(*page.next) : ""));
}

HttpResponse one(const std::string& text, const queue::Tracking& tracking, Control& control) {
  const auto id = MessageId::parse(text);
  if (!id) return errorResponse(404, "not the id of a message");
  const auto lives = tracking.lives({*id});
  if (!lives) return errorResponse(lives.error());
  const TrackedMessage& message = lives->front();
  const auto queued = control.message(*id);
  if (!queued && queued.error().code != Errc::NotFound) return errorResponse(queued.error());
  if (message.events.empty() && !queued) {
    return errorResponse(404, "no such message in the queue, and none is remembered");
  }
  ordered_json out = messageJson(message);
  ordered_json events = ordered_json::array();
  for (const TrackEvent& event : message.events) events.push_back(eventJson(event));
  out["events"] = std::move(events);
  out["queue"] = queued ? toJson(*queued) : ordered_json();
  return jsonResponse(out);
}

}  // namespace

Result<WallTime> readMoment(std::string_view text, WallTime now) {
  if (const auto age = readAge(text)) return now - *age;
  int part[6] = {0, 1, 1, 0, 0, 0};
  constexpr size_t kAt[] = {0, 5, 8, 11, 14, 17};
  constexpr size_t kLength[] = {4, 2, 2, 2, 2, 2};
  constexpr std::string_view kDay = "0000-00-00", kForm = "0000-00-00T00:00:00";
  const auto mistake = [] {
    return fail(Errc::InvalidArgument,
                "a time such as \"2026-11-24T08:21:32Z\", or an age such as \"4h\"");
  };
  while (text.ends_with('Z') || text.ends_with('z')) text.remove_suffix(1);
  double fraction = 0;
  if (text.size() > kForm.size() && text[kForm.size()] == '.') {
    const std::string_view digits = text.substr(kForm.size() + 1);
    uint64_t count = 0;
    if (digits.size() > 9 || !readNumber(digits, count)) return mistake();
    fraction = static_cast<double>(count);
    for (size_t i = 0; i < digits.size(); ++i) fraction /= 10;
    text = text.substr(0, kForm.size());
  }
  if (text.size() != kDay.size() && text.size() != kForm.size()) return mistake();
  for (size_t i = 0; i < text.size(); ++i) {
    const bool same = kForm[i] == '0' ? text[i] >= '0' && text[i] <= '9' : text[i] == kForm[i];
    if (!same) return mistake();
  }
  for (size_t i = 0; i < 6 && kAt[i] < text.size(); ++i) {
    readNumber(text.substr(kAt[i], kLength[i]), part[i]);
  }
  const std::chrono::year_month_day date{std::chrono::year(part[0]),
                                         std::chrono::month(static_cast<unsigned>(part[1])),
                                         std::chrono::day(static_cast<unsigned>(part[2]))};
  if (!date.ok() || part[3] > 23 || part[4] > 59 || part[5] > 60) return mistake();
  return WallTime(std::chrono::sys_days(date)) + std::chrono::hours(part[3]) +
         std::chrono::minutes(part[4]) + std::chrono::seconds(part[5]) +
         std::chrono::microseconds(static_cast<int64_t>(fraction * 1e6));
}

HttpResponse answerTracking(const net::HttpRequest& request, std::span<const std::string> path,
                            Control& control) {
  const queue::Tracking* tracking = control.tracking();
  if (!tracking) return errorResponse(400, "tracking is off: see [tracking] enabled");
  return path.empty() ? list(request, *tracking) : one(path[0], *tracking, control);
}

}  // namespace sluice::relay
