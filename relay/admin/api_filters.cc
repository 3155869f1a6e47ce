#include "relay/admin/api_filters.h"

#include <charconv>
#include <nlohmann/json.hpp>
#include <set>

#include "relay/config/units.h"

namespace sluice::relay {
namespace {

using nlohmann::json;
using queue::MessageId;

constexpr size_t kMaxIds = 10'000;
constexpr size_t kMaxTextBytes = 512;  // a path has at most 256 octets: RFC 5321 section 4.5.3.1.3

Result<size_t> readCount(std::string_view text, size_t most) {
  size_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc() || end != text.data() + text.size() || count == 0 || count > most) {
    return fail(Errc::InvalidArgument, "limit: a number from 1 to " + std::to_string(most));
  }
  return count;
}

// Forgives the angle brackets of a path, but not those of "<>".
std::string barePath(std::string_view path) {
  if (path.size() > 2 && path.front() == '<' && path.back() == '>') {
    path = path.substr(1, path.size() - 2);
  }
  return std::string(path);
}

// One filter by name; false if there is none of this name.
Result<bool> readFilter(std::string_view name, std::string_view value,
                        queue::MessageFilter& filter) {
  const bool known = name == "destination" || name == "sender" || name == "recipient" ||
                     name == "state" || name == "older_than";
  if (!known) return false;
  // An empty filter is a mistake, not the wish to have no filter.
  if (value.empty() || value.size() > kMaxTextBytes) {
    return fail(Errc::InvalidArgument, std::string(name) + ": empty or too long");
  }
  if (name == "destination") {
    filter.key_or_domain = value;
  } else if (name == "sender") {
    filter.sender = barePath(value);
  } else if (name == "recipient") {
    filter.recipient = barePath(value);
  } else if (name == "state") {
    ASSIGN_OR_RETURN(filter.state, readState(value));
  } else {
    ASSIGN_OR_RETURN(filter.older_than, readAge(value));
  }
  return true;
}

Result<std::vector<MessageId>> readIds(const json& value) {
  if (!value.is_array() || value.empty()) {
    return fail(Errc::InvalidArgument, "ids: a list of ids, not empty");
  }
  if (value.size() > kMaxIds) {
    return fail(Errc::InvalidArgument, "ids: at most " + std::to_string(kMaxIds));
  }
  std::vector<MessageId> ids;
  for (const json& element : value) {
    if (!element.is_string()) return fail(Errc::InvalidArgument, "ids: a list of strings");
    const auto id = MessageId::parse(element.get_ref<const std::string&>());
    if (!id) return fail(Errc::InvalidArgument, "ids: not an id: " + element.get<std::string>());
    ids.push_back(*id);
  }
  return ids;
}

Result<void> readMember(const std::string& name, const json& value, ActionRequest& request) {
  if (name == "ids") {
    ASSIGN_OR_RETURN(request.filter.ids, readIds(value));
    return {};
  }
  if (name == "all") {
    if (!value.is_boolean()) return fail(Errc::InvalidArgument, "all: true or false");
    request.all = value.get<bool>();
    return {};
  }
  if (name == "limit") {
    if (!value.is_number_unsigned()) return fail(Errc::InvalidArgument, "limit: a number");
    ASSIGN_OR_RETURN(request.limit, readCount(std::to_string(value.get<uint64_t>()), kMaxIds));
    return {};
  }
  const bool age_in_seconds = name == "older_than" && value.is_number_unsigned();
  if (!value.is_string() && !age_in_seconds) {
    return fail(Errc::InvalidArgument, name + ": a string");
  }
  const std::string text =
      age_in_seconds ? std::to_string(value.get<uint64_t>()) : value.get<std::string>();
  ASSIGN_OR_RETURN(const bool known, readFilter(name, text, request.filter));
  if (!known) return fail(Errc::InvalidArgument, "no such filter: " + name);
  return {};
}

bool hasFilter(const queue::MessageFilter& filter) {
  return !filter.key_or_domain.empty() || !filter.sender.empty() || !filter.recipient.empty() ||
         filter.state || filter.older_than;
}

}  // namespace

bool ActionRequest::choosesAll() const { return filter.ids.empty() && !hasFilter(filter); }

Result<std::chrono::seconds> readAge(std::string_view text) {
  constexpr uint64_t kMaxSeconds = 100ull * 366 * 86400;
  uint64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error == std::errc() && end == text.data() + text.size()) {
    if (count > kMaxSeconds) return fail(Errc::InvalidArgument, "older_than: too long");
    return std::chrono::seconds(count);
  }
  const auto duration = parseDuration(text);
  if (!duration) {
    return fail(Errc::InvalidArgument, "older_than: a duration such as \"30m\", \"4h\" or \"2d\"");
  }
  return std::chrono::duration_cast<std::chrono::seconds>(*duration);
}

Result<queue::RecipientState> readState(std::string_view text) {
  for (const auto state : {queue::RecipientState::Ready, queue::RecipientState::Active,
                           queue::RecipientState::Deferred, queue::RecipientState::Held}) {
    if (text == queue::toString(state)) return state;
  }
  return fail(Errc::InvalidArgument, "state: one of ready, active, deferred, held");
}

Result<ListRequest> readListRequest(const net::QueryParameters& query) {
  ListRequest request;
  std::set<std::string_view> seen;
  for (const auto& [name, value] : query) {
    if (!seen.insert(name).second) return fail(Errc::InvalidArgument, name + ": given twice");
    if (name == "limit") {
      ASSIGN_OR_RETURN(request.limit, readCount(value, kMaxPage));
      continue;
    }
    if (name == "cursor") {
      const auto id = MessageId::parse(value);
      if (!id) return fail(Errc::InvalidArgument, "cursor: not one of ours");
      request.after = *id;
      continue;
    }
    ASSIGN_OR_RETURN(const bool known, readFilter(name, value, request.filter));
    if (!known) return fail(Errc::InvalidArgument, "no such filter: " + name);
  }
  return request;
}

Result<ActionRequest> readActionRequest(std::string_view body) {
  ActionRequest request;
  if (body.empty()) return request;
  const json read = json::parse(body, nullptr, false);
  if (read.is_discarded()) return fail(Errc::Malformed, "the body is no JSON");
  if (!read.is_object()) return fail(Errc::InvalidArgument, "the body is no JSON object");
  for (const auto& [name, value] : read.items()) {
    RETURN_IF_ERROR(readMember(name, value, request));
  }
  if (!request.filter.ids.empty() && (hasFilter(request.filter) || request.all)) {
    return fail(Errc::InvalidArgument, "ids or filters, not both");
  }
  if (request.all && hasFilter(request.filter)) {
    return fail(Errc::InvalidArgument, "all or filters, not both");
  }
  return request;
}

}  // namespace sluice::relay
