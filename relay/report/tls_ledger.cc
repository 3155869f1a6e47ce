#include "relay/report/tls_ledger.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

namespace sluice::relay {
namespace {

using nlohmann::json;

constexpr std::array kPolicies{TlsResult::Policy::NoneFound, TlsResult::Policy::Tlsa,
                               TlsResult::Policy::Sts};
constexpr int kLastType = static_cast<int>(TlsResult::Type::StsWebpkiInvalid);

std::string cut(std::string_view text) {
  return std::string(text.substr(0, TlsLedger::kMaxTextBytes));
}

std::string textOf(const IpAddress& address) {
  return address == IpAddress{} ? std::string() : address.toString();
}

void merge(const std::vector<std::string>& lines, std::vector<std::string>& into) {
  for (const std::string& line : lines) {
    if (into.size() == TlsLedger::kMaxLines) return;
    std::string bounded = cut(line);
    if (std::find(into.begin(), into.end(), bounded) == into.end()) {
      into.push_back(std::move(bounded));
    }
  }
}

void addFailure(const TlsResult& result, TlsTally& tally) {
  TlsFailures failure{result.type,    textOf(result.from), textOf(result.to),
                      cut(result.mx), cut(result.reason),  1};
  const auto same = [&](const TlsFailures& other) {
    return other.type == failure.type && other.from == failure.from && other.to == failure.to &&
           other.mx == failure.mx && other.reason == failure.reason;
  };
  const auto known = std::find_if(tally.details.begin(), tally.details.end(), same);
  if (known != tally.details.end()) {
    ++known->sessions;
  } else if (tally.details.size() < TlsLedger::kMaxDetails) {
    tally.details.push_back(std::move(failure));
  }
}

json written(const TlsTally& tally) {
  json details = json::array();
  for (const TlsFailures& one : tally.details) {
    details.push_back({{"type", static_cast<int>(one.type)},
                       {"from", one.from},
                       {"to", one.to},
                       {"mx", one.mx},
                       {"reason", one.reason},
                       {"sessions", one.sessions}});
  }
  return {{"lines", tally.policy_lines},
          {"mx", tally.mx_patterns},
          {"successes", tally.successes},
          {"failures", tally.failures},
          {"details", std::move(details)}};
}

TlsTally readTally(const json& from) {
  TlsTally tally;
  tally.policy_lines = from.at("lines").get<std::vector<std::string>>();
  tally.mx_patterns = from.at("mx").get<std::vector<std::string>>();
  tally.successes = from.at("successes").get<uint64_t>();
  tally.failures = from.at("failures").get<uint64_t>();
  for (const json& one : from.at("details")) {
    const int type = std::clamp(one.at("type").get<int>(), 0, kLastType);
    tally.details.push_back({static_cast<TlsResult::Type>(type), one.at("from"), one.at("to"),
                             one.at("mx"), one.at("reason"), one.at("sessions").get<uint64_t>()});
  }
  return tally;
}

}  // namespace

std::string formatDay(Day day) {
  const std::chrono::year_month_day date(day);
  return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()));
}

void TlsLedger::note(const TlsResult& result) {
  if (result.domain.empty()) return;
  const std::lock_guard lock(mutex_);
  const Entry entry(dayOf(clock_.wall()), result.domain);
  auto found = entries_.find(entry);
  if (found == entries_.end()) {
    if (entries_.size() >= kMaxEntries) return;
    found = entries_.emplace(entry, TlsTallies()).first;
  }
  TlsTally& tally = found->second[result.policy];
  merge(result.policy_lines, tally.policy_lines);
  merge(result.mx_patterns, tally.mx_patterns);
  if (result.type == TlsResult::Type::Success) {
    ++tally.successes;
  } else {
    ++tally.failures;
    addFailure(result, tally);
  }
  changed_ = true;
}

std::vector<TlsLedger::Entry> TlsLedger::finished(Day today) const {
  const std::lock_guard lock(mutex_);
  std::vector<Entry> all;
  for (const auto& [entry, tallies] : entries_) {
    if (entry.first >= today) break;
    all.push_back(entry);
  }
  return all;
}

std::optional<TlsTallies> TlsLedger::find(const Entry& entry) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(entry);
  if (found == entries_.end()) return std::nullopt;
  return found->second;
}

void TlsLedger::drop(const Entry& entry) {
  const std::lock_guard lock(mutex_);
  if (entries_.erase(entry) > 0) changed_ = true;
}

std::optional<std::string> TlsLedger::takeChanges() {
  const std::lock_guard lock(mutex_);
  if (!std::exchange(changed_, false)) return std::nullopt;
  json entries = json::array();
  for (const auto& [entry, tallies] : entries_) {
    json policies = json::object();
    for (const auto& [policy, tally] : tallies) {
      policies[std::string(toString(policy))] = written(tally);
    }
    entries.push_back({{"day", entry.first.time_since_epoch().count()},
                       {"domain", entry.second},
                       {"policies", std::move(policies)}});
  }
  return json{{"version", 1}, {"entries", std::move(entries)}}.dump(-1, ' ', false,
                                                                    json::error_handler_t::replace);
}

Result<void> TlsLedger::restore(std::string_view text) {
  std::map<Entry, TlsTallies> read;
  try {
    const json all = json::parse(text);
    for (const json& one : all.at("entries")) {
      if (read.size() == kMaxEntries) break;
      const Day day{std::chrono::days(one.at("day").get<int>())};
      TlsTallies& tallies = read[{day, one.at("domain").get<std::string>()}];
      for (const TlsResult::Policy policy : kPolicies) {
        const auto found = one.at("policies").find(std::string(toString(policy)));
        if (found != one.at("policies").end()) tallies[policy] = readTally(*found);
      }
    }
  } catch (const json::exception& error) {
    return fail(Errc::Malformed, error.what());
  }
  const std::lock_guard lock(mutex_);
  entries_.merge(read);
  return {};
}

}  // namespace sluice::relay
