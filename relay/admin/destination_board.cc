#include "relay/admin/destination_board.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <set>

#include "relay/admin/api_filters.h"
#include "relay/admin/api_json.h"

namespace sluice::relay {
namespace {

using nlohmann::ordered_json;

constexpr std::chrono::seconds kFresh{1};
constexpr int kRest = 10;               // a dear look serves so many times as long as it took
constexpr size_t kMaxMatchBytes = 255;  // a domain has no more: RFC 1035 section 3.1

struct BoardRequest {
  std::string sort = "name";
  std::string match;
  size_t limit = kDefaultPage;
  size_t offset = 0;
};

Result<size_t> readNumber(const std::string& name, const std::string& text, size_t most) {
  size_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number == 0 || number > most) {
    return fail(Errc::InvalidArgument, name + ": a number from 1 to " + std::to_string(most));
  }
  return number;
}

Result<BoardRequest> readBoardRequest(const net::QueryParameters& query) {
  static const std::set<std::string_view> kSorts{"name", "hurt", "oldest", "waiting", "growing"};
  BoardRequest request;
  std::set<std::string_view> seen;
  for (const auto& [name, value] : query) {
    if (!seen.insert(name).second) return fail(Errc::InvalidArgument, name + ": given twice");
    if (name == "sort") {
      if (!kSorts.contains(value)) {
        return fail(Errc::InvalidArgument, "sort: one of name, hurt, oldest, waiting, growing");
      }
      request.sort = value;
    } else if (name == "match") {
      if (value.empty() || value.size() > kMaxMatchBytes) {
        return fail(Errc::InvalidArgument, "match: empty or too long");
      }
      request.match = value;
    } else if (name == "limit") {
      ASSIGN_OR_RETURN(request.limit, readNumber(name, value, kMaxPage));
    } else if (name == "cursor") {
      ASSIGN_OR_RETURN(request.offset, readNumber(name, value, 1'000'000'000));
    } else {
      return fail(Errc::InvalidArgument, "no such parameter: " + name);
    }
  }
  return request;
}

uint64_t waiting(const BoardRow& row) { return row.queue.ready + row.queue.deferred; }

// Whether `a` is to be seen before `b`. What is equal stays in the order of what hurts.
bool isBefore(const std::string& sort, const BoardRow& a, const BoardRow& b) {
  if (sort == "name") return a.queue.destination.destination < b.queue.destination.destination;
  if (sort == "oldest") {
    const auto of = [](const BoardRow& row) { return row.queue.oldest.value_or(WallTime::max()); };
    return of(a) < of(b);
  }
  if (sort == "waiting") return waiting(a) > waiting(b);
  const auto of = [](const BoardRow& row) { return row.trend.velocity.value_or(0); };
  return of(a) < of(b);
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

bool contains(std::string_view name, std::string_view part) {
  return std::search(name.begin(), name.end(), part.begin(), part.end(),
                     [](char a, char b) { return lower(a) == lower(b); }) != name.end();
}

}  // namespace

ordered_json toJson(const BoardRow& row) {
  ordered_json json = toJson(row.queue);
  json["velocity"] = row.trend.velocity ? ordered_json(*row.trend.velocity) : ordered_json();
  json["hurt"] = row.hurt;
  return json;
}

Result<DestinationBoard::Rows> DestinationBoard::rows() {
  const std::lock_guard lock(mutex_);
  const SteadyTime now = Clock::system().steady();
  if (rows_ && now < fresh_until_) return rows_;
  ASSIGN_OR_RETURN(rows_, look());
  const SteadyTime done = Clock::system().steady();
  fresh_until_ = done + std::max<Duration>(kFresh, kRest * (done - now));
  return rows_;
}

Result<DestinationBoard::Rows> DestinationBoard::look() {
  const WallTime now = Clock::system().wall();
  auto rows = std::make_shared<std::vector<BoardRow>>();
  trends_.begin(Clock::system().steady());
  RETURN_IF_ERROR(control_.visitQueues([&](const QueueStatus& queue) {
    BoardRow& row = rows->emplace_back(BoardRow{queue, trends_.note(queue)});
    row.hurt = hurtOf(row.queue, row.trend, now);
  }));
  trends_.end();
  std::sort(rows->begin(), rows->end(), [](const BoardRow& a, const BoardRow& b) {
    if (a.hurt != b.hurt) return a.hurt > b.hurt;
    return a.queue.destination.destination < b.queue.destination.destination;
  });
  return Rows(std::move(rows));
}

net::HttpResponse DestinationBoard::answer(const net::QueryParameters& query) {
  const auto request = readBoardRequest(query);
  if (!request) return errorResponse(request.error());
  const auto rows = this->rows();
  if (!rows) return errorResponse(rows.error());
  std::vector<const BoardRow*> chosen;
  chosen.reserve((*rows)->size());
  for (const BoardRow& row : **rows) {
    if (contains(row.queue.destination.destination, request->match)) chosen.push_back(&row);
  }
  const size_t begin = std::min(request->offset, chosen.size());
  const size_t end = begin + std::min(request->limit, chosen.size() - begin);
  if (request->sort != "hurt") {
    const auto before = [&](const BoardRow* a, const BoardRow* b) {
      return isBefore(request->sort, *a, *b);
    };
    std::stable_sort(chosen.begin(), chosen.end(), before);
  }
  ordered_json items = ordered_json::array();
  for (size_t i = begin; i < end; ++i) items.push_back(toJson(*chosen[i]));
  ordered_json body =
      listJson(std::move(items), end < chosen.size() ? std::to_string(end) : std::string());
  body["total"] = chosen.size();
  return jsonResponse(body);
}

}  // namespace sluice::relay
