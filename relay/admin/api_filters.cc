#include "relay/admin/api_filters.h"

#include <charconv>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "relay/admin/reply_predicate.h"
#include "relay/config/units.h"

namespace sluice::relay {
namespace {

using nlohmann::json;
using queue::MessageId;

constexpr size_t kMaxIds = 10'000;
constexpr size_t kMaxAttempts = 1'000'000;
constexpr size_t kMaxTextBytes = 512;  // a path has at most 256 octets: RFC 5321 section 4.5.3.1.3

Result<size_t> readCount(std::string_view name, std::string_view text, size_t most) {
  size_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc() || end != text.data() + text.size() || count == 0 || count > most) {
    return fail(Errc::InvalidArgument,
                std::string(name) + ": a number from 1 to " + std::to_string(most));
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

Result<void> readAgeInto(std::string_view name, std::string_view value,
                         std::optional<std::chrono::seconds>& to) {
  const auto age = readAge(value);
  if (!age) return fail(age.error().code, std::string(name) + ": " + age.error().detail);
  to = *age;
  return {};
}

Result<void> readSizeInto(std::string_view name, std::string_view value, uint64_t& to) {
  const auto size = parseSize(value);
  if (!size || *size == 0) {
    return fail(Errc::InvalidArgument, std::string(name) + ": a size such as \"100KiB\"");
  }
  to = *size;
  return {};
}

// Of the last attempt: by its host, by its text; both where both are given.
void addReply(ReplyPredicate also, MessageChoice& filter) {
  if (!filter.last_reply) {
    filter.last_reply = std::move(also);
    return;
  }
  filter.last_reply = [first = std::move(filter.last_reply), also = std::move(also)](
                          std::string_view reply) { return first(reply) && also(reply); };
}

using ReadFilter = Result<void> (*)(std::string_view name, std::string_view value,
                                    MessageChoice& filter);

// In the order of docs/api.md.
constexpr std::pair<std::string_view, ReadFilter> kFilters[] = {
    {"destination",
     [](std::string_view, std::string_view value, MessageChoice& filter) -> Result<void> {
       filter.key_or_domain = value;
       return {};
     }},
    {"sender",
     [](std::string_view, std::string_view value, MessageChoice& filter) -> Result<void> {
       filter.sender = barePath(value);
       return {};
     }},
    {"sender_domain",
     [](std::string_view, std::string_view value, MessageChoice& filter) -> Result<void> {
       filter.sender_domain = value;
       return {};
     }},
    {"recipient",
     [](std::string_view, std::string_view value, MessageChoice& filter) -> Result<void> {
       filter.recipient = barePath(value);
       return {};
     }},
    {"state",
     [](std::string_view, std::string_view value, MessageChoice& filter) -> Result<void> {
       ASSIGN_OR_RETURN(filter.state, readState(value));
       return {};
     }},
    {"older_than",
     [](std::string_view name, std::string_view value, MessageChoice& filter) {
       return readAgeInto(name, value, filter.older_than);
     }},
    {"younger_than",
     [](std::string_view name, std::string_view value, MessageChoice& filter) {
       return readAgeInto(name, value, filter.younger_than);
     }},
    {"received_by",
     [](std::string_view, std::string_view value, MessageChoice& filter) -> Result<void> {
       filter.received_by = value;
       return {};
     }},
    {"larger_than",
     [](std::string_view name, std::string_view value, MessageChoice& filter) {
       return readSizeInto(name, value, filter.larger_than);
     }},
    {"smaller_than",
     [](std::string_view name, std::string_view value, MessageChoice& filter) {
       return readSizeInto(name, value, filter.smaller_than);
     }},
    {"attempts",
     [](std::string_view name, std::string_view value, MessageChoice& filter) -> Result<void> {
       ASSIGN_OR_RETURN(const size_t count, readCount(name, value, kMaxAttempts));
       filter.least_attempts = static_cast<uint32_t>(count);
       return {};
     }},
    {"mx",
     [](std::string_view, std::string_view value, MessageChoice& filter) -> Result<void> {
       addReply(repliedBy(std::string(value)), filter);
       return {};
     }},
    {"reply",
     [](std::string_view, std::string_view value, MessageChoice& filter) -> Result<void> {
       ASSIGN_OR_RETURN(auto matching, replyMatching(std::string(value)));
       addReply(std::move(matching), filter);
       return {};
     }},
};

// One filter by name; false if there is none of this name.
Result<bool> readFilter(std::string_view name, std::string_view value, MessageChoice& filter) {
  for (const auto& [known, read] : kFilters) {
    if (name != known) continue;
    // An empty filter is a mistake, not the wish to have no filter.
    if (value.empty() || value.size() > kMaxTextBytes) {
      return fail(Errc::InvalidArgument, std::string(name) + ": empty or too long");
    }
    RETURN_IF_ERROR(read(name, value, filter));
    return true;
  }
  return false;
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

// Seconds, bytes, attempts.
bool mayBeNumber(std::string_view name) {
  return name == "older_than" || name == "younger_than" || name == "larger_than" ||
         name == "smaller_than" || name == "attempts";
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
    ASSIGN_OR_RETURN(request.limit,
                     readCount(name, std::to_string(value.get<uint64_t>()), kMaxIds));
    return {};
  }
  if (name == "dry_run") {
    if (!value.is_boolean()) return fail(Errc::InvalidArgument, "dry_run: true or false");
    request.dry_run = value.get<bool>();
    return {};
  }
  if (name == "connector" || name == "by") {
    if (!value.is_string() || value.get_ref<const std::string&>().size() > kMaxTextBytes) {
      return fail(Errc::InvalidArgument, name + ": a short string");
    }
    (name == "by" ? request.by : request.connector) = value.get<std::string>();
    return {};
  }
  const bool number = value.is_number_unsigned() && mayBeNumber(name);
  if (!value.is_string() && !number) return fail(Errc::InvalidArgument, name + ": a string");
  const std::string text =
      number ? std::to_string(value.get<uint64_t>()) : value.get<std::string>();
  ASSIGN_OR_RETURN(const bool known, readFilter(name, text, request.filter));
  if (!known) return fail(Errc::InvalidArgument, "no such filter: " + name);
  return {};
}

}  // namespace

bool ActionRequest::choosesAll() const { return filter.ids.empty() && !filter.narrows(); }

Result<std::chrono::seconds> readAge(std::string_view text) {
  constexpr uint64_t kMaxSeconds = 100ull * 366 * 86400;
  uint64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error == std::errc() && end == text.data() + text.size()) {
    if (count > kMaxSeconds) return fail(Errc::InvalidArgument, "too long");
    return std::chrono::seconds(count);
  }
  const auto duration = parseDuration(text);
  if (!duration) {
    return fail(Errc::InvalidArgument, "a duration such as \"30m\", \"4h\" or \"2d\"");
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
      ASSIGN_OR_RETURN(request.limit, readCount(name, value, kMaxPage));
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
  if (!request.filter.ids.empty() && (request.filter.narrows() || request.all)) {
    return fail(Errc::InvalidArgument, "ids or filters, not both");
  }
  if (request.all && request.filter.narrows()) {
    return fail(Errc::InvalidArgument, "all or filters, not both");
  }
  return request;
}

}  // namespace sluice::relay
