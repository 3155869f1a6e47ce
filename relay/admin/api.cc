#include "relay/admin/api.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <span>

#include "relay/admin/api_filters.h"
#include "relay/admin/api_json.h"
#include "relay/admin/api_tracking.h"

namespace sluice::relay {
namespace {

using net::HttpRequest;
using net::HttpResponse;
using nlohmann::ordered_json;

// Each page asks every shard for all: few large ones are kinder.
constexpr size_t kMaxQueuePage = 10'000;

HttpResponse notFound() { return errorResponse(404, "no such path"); }

HttpResponse onlyMethod(std::string_view method) {
  HttpResponse response = errorResponse(405, "only " + std::string(method));
  response.headers.emplace_back("Allow", method);
  return response;
}

std::optional<MessageAction> actionOf(std::string_view name) {
  if (name == "retry") return MessageAction::Retry;
  if (name == "hold") return MessageAction::Hold;
  if (name == "release") return MessageAction::Release;
  if (name == "bounce") return MessageAction::Bounce;
  if (name == "discard") return MessageAction::Discard;
  if (name == "expire") return MessageAction::Expire;
  if (name == "redirect") return MessageAction::Redirect;
  return std::nullopt;
}

// Retrying or releasing everything is harmless; the rest must say that it means everything.
bool mayMeanAll(MessageAction action) {
  return action == MessageAction::Retry || action == MessageAction::Release;
}

// One request; its handlers in the order of docs/api.md.
struct ApiCall {
  const HttpRequest& request;
  Control& control;
  EventLog& log;

  HttpResponse status() const {
    return jsonResponse(toJson(control.status(), Clock::system().wall()));
  }

  HttpResponse queues() const {
    std::string after;
    size_t limit = kDefaultPage;
    for (const auto& [name, value] : request.query) {
      if (name == "cursor") {
        after = value;
      } else if (name == "limit") {
        const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), limit);
        if (error != std::errc() || end != value.data() + value.size() || limit == 0 ||
            limit > kMaxQueuePage) {
          return errorResponse(400, "limit: a number from 1 to " + std::to_string(kMaxQueuePage));
        }
      } else {
        return errorResponse(400, "no such parameter: " + name);
      }
    }
    const auto queues = control.queues();
    if (!queues) return errorResponse(queues.error());
    ordered_json items = ordered_json::array();
    std::string next;
    for (const QueueStatus& queue : *queues) {
      if (queue.destination.destination <= after && !after.empty()) continue;
      if (items.size() == limit) {
        next = items.back()["destination"].get<std::string>();
        break;
      }
      items.push_back(toJson(queue));
    }
    return jsonResponse(listJson(std::move(items), next));
  }

  HttpResponse queue(const std::string& destination) const {
    const auto queues = control.queues();
    if (!queues) return errorResponse(queues.error());
    for (const QueueStatus& queue : *queues) {
      if (queue.destination.destination == destination) return jsonResponse(toJson(queue));
    }
    return errorResponse(404, "no such destination");
  }

  HttpResponse queueAction(const std::string& destination, const std::string& action) const {
    if (action == "retry") {
      const auto done = control.retryDestination(destination);
      if (!done) return errorResponse(done.error());
      tell("retry", destination, *done);
      return jsonResponse(toJson(*done));
    }
    if (action != "suspend" && action != "resume") return notFound();
    const auto changed = control.suspend(destination, action == "suspend");
    if (!changed) return errorResponse(changed.error());
    const queue::ActionResult done{.matched = 1, .changed = *changed ? 1u : 0u};
    tell(action, destination, done);
    return jsonResponse(toJson(done));
  }

  HttpResponse messages() const {
    const auto wanted = readListRequest(request.query);
    if (!wanted) return errorResponse(wanted.error());
    const auto page = control.messages(wanted->filter, wanted->after, wanted->limit);
    if (!page) return errorResponse(page.error());
    ordered_json items = ordered_json::array();
    for (const MessageView& message : page->items) items.push_back(toJson(message));
    return jsonResponse(listJson(std::move(items), page->next ? page->next->toString() : ""));
  }

  HttpResponse message(const std::string& text) const {
    const auto id = queue::MessageId::parse(text);
    if (!id) return errorResponse(404, "not the id of a message");
    const auto message = control.message(*id);
    return message ? jsonResponse(toJson(*message)) : errorResponse(message.error());
  }

  // As a file to keep, not as a page to show: what is in it comes from anyone.
  HttpResponse content(const std::string& text) const {
    const auto id = queue::MessageId::parse(text);
    if (!id) return errorResponse(404, "not the id of a message");
    const auto content = control.content(*id);
    if (!content) return errorResponse(content.error());
    HttpResponse response;
    response.content_type = "message/rfc822";
    response.body = content->flatten();
    response.headers.emplace_back("Content-Disposition",
                                  "attachment; filename=\"" + id->toString() + ".eml\"");
    return response;
  }

  HttpResponse messagesAction(const std::string& name) const {
    const auto action = actionOf(name);
    if (!action) return notFound();
    const bool redirects = *action == MessageAction::Redirect;
    auto wanted = readActionRequest(request.body);
    if (!wanted) return errorResponse(wanted.error());
    if (wanted->choosesAll() && !wanted->all && !mayMeanAll(*action)) {
      return errorResponse(400, "no ids and no filter: say \"all\": true to mean every message");
    }
    if (redirects == wanted->connector.empty()) {
      return errorResponse(
          400, redirects ? "connector: to which send connector?" : "connector: only to redirect");
    }
    if (wanted->limit) {
      const auto page = control.messages(wanted->filter, std::nullopt, *wanted->limit);
      if (!page) return errorResponse(page.error());
      if (page->items.empty()) return answerAction(name, *wanted, queue::ActionResult{});
      for (const MessageView& message : page->items) wanted->filter.ids.push_back(message.id);
    }
    const auto done = wanted->dry_run ? control.count(wanted->filter)
                                      : control.act(*action, wanted->filter, wanted->connector);
    if (!done) return errorResponse(done.error());
    return answerAction(name, *wanted, *done);
  }

  HttpResponse answerAction(const std::string& name, const ActionRequest& wanted,
                            const queue::ActionResult& done) const {
    tell(name, "", done, &wanted);
    ordered_json answer = toJson(done);
    if (wanted.dry_run) answer["dry_run"] = true;
    return jsonResponse(answer);
  }

  HttpResponse reload() const {
    const auto done = control.reload();
    if (!done) return errorResponse(done.error());
    return jsonResponse({{"reloaded", true}});
  }

  // The choice of messages as it was asked for, but of many ids the first ones.
  std::string filterForLog() const {
    constexpr size_t kMostIds = 20;
    ordered_json asked = ordered_json::parse(request.body, nullptr, false);
    if (!asked.is_object()) return "{}";
    for (const char* other : {"by", "connector", "dry_run"}) asked.erase(other);
    const auto ids = asked.find("ids");
    if (ids != asked.end() && ids->size() > kMostIds) {
      const size_t all = ids->size();
      ids->erase(ids->begin() + kMostIds, ids->end());
      asked["more_ids"] = all - kMostIds;
    }
    return asked.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
  }

  // Who did what by hand, to what, is in the log.
  void tell(const std::string& action, const std::string& destination,
            const queue::ActionResult& done, const ActionRequest* wanted = nullptr) const {
    LogEvent event{
        LogLevel::Info, "admin_action", {{"action", action}, {"client", request.remote}}};
    if (!destination.empty()) event.fields.emplace_back("destination", destination);
    if (wanted) {
      if (!wanted->by.empty()) event.fields.emplace_back("by", wanted->by);
      if (!wanted->connector.empty()) event.fields.emplace_back("connector", wanted->connector);
      event.fields.emplace_back("filter", filterForLog());
      if (wanted->dry_run) event.fields.emplace_back("dry_run", true);
    }
    event.fields.emplace_back("matched", static_cast<int64_t>(done.matched));
    event.fields.emplace_back("changed", static_cast<int64_t>(done.changed));
    log.log(std::move(event));
  }
};

HttpResponse answerGet(const ApiCall& call, std::span<const std::string> path) {
  const size_t depth = path.size();
  if (path[0] == "status" && depth == 1) return call.status();
  if (path[0] == "queues" && depth == 1) return call.queues();
  if (path[0] == "queues" && depth == 2) return call.queue(path[1]);
  if (path[0] == "messages" && depth == 1) return call.messages();
  if (path[0] == "messages" && depth == 2) {
    return actionOf(path[1]) ? onlyMethod("POST") : call.message(path[1]);
  }
  if (path[0] == "messages" && depth == 3 && path[2] == "content") return call.content(path[1]);
  if (path[0] == "queues" && depth == 3) return onlyMethod("POST");
  if (path[0] == "tracking" && depth <= 2) {
    return answerTracking(call.request, path.subspan(1), call.control);
  }
  if (path[0] == "reload" && depth == 1) return onlyMethod("POST");
  return notFound();
}

// A form of another site can send a body, but not say that it is JSON.
bool bodyIsJson(const HttpRequest& request) {
  if (request.body.empty() && request.content_type.empty()) return true;
  std::string type = request.content_type.substr(0, request.content_type.find(';'));
  std::transform(type.begin(), type.end(), type.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  while (type.ends_with(' ')) type.pop_back();
  return type == "application/json";
}

HttpResponse answerPost(const ApiCall& call, std::span<const std::string> path) {
  const size_t depth = path.size();
  if (!bodyIsJson(call.request)) return errorResponse(415, "send Content-Type: application/json");
  if (path[0] == "queues" && depth == 3) return call.queueAction(path[1], path[2]);
  if (path[0] == "messages" && depth == 2 && actionOf(path[1])) return call.messagesAction(path[1]);
  if (path[0] == "reload" && depth == 1) return call.reload();
  const bool readable =
      (path[0] == "status" && depth == 1) || (path[0] == "queues" && depth <= 2) ||
      (path[0] == "messages" && depth <= 3) || (path[0] == "tracking" && depth <= 2);
  return readable ? onlyMethod("GET") : notFound();
}

}  // namespace

HttpResponse answerApi(const HttpRequest& request, Control& control, EventLog& log) {
  const ApiCall call{request, control, log};
  const auto path = std::span(request.path).subspan(2);
  if (path.empty()) return notFound();
  if (request.method == "GET") return answerGet(call, path);
  if (request.method == "POST") return answerPost(call, path);
  return onlyMethod("GET, POST");
}

}  // namespace sluice::relay
