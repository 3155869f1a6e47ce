// The order of an examination: first what needs nothing, then what needs the network.
#include "relay/doctor/examinations.h"

#include <algorithm>

namespace sluice::relay {
namespace {

constexpr size_t kMaxQuotedBytes = 120;

net::ResolverOptions resolverOptions(const Config& config, const DoctorOptions& options) {
  net::ResolverOptions resolver;
  resolver.servers = config.dns.servers;
  resolver.timeout = std::min<milliseconds>(config.dns.timeout, options.patience);
  resolver.attempts = std::min(config.dns.attempts, 2);
  resolver.trust_ad = config.dns.trust_ad;
  return resolver;
}

}  // namespace

bool Examination::sendsByMx() const {
  return std::any_of(config.send.begin(), config.send.end(),
                     [](const SendConfig& connector) { return connector.route == Route::Mx; });
}

Result<void> examineAll(const LoadedConfig& loaded, const DoctorOptions& options,
                        Findings& findings) {
  const Config& config = loaded.config;
  examineConfiguration(loaded, findings);
  examineCertificates(config, findings);
  examineDisk(config, findings);
  examineMachine(config, findings);
  if (options.offline) return {};
  ASSIGN_OR_RETURN(const auto loop, net::Loop::create());
  if (!examineNameServers(config, options, *loop, findings)) {
    findings.note("network", "", "the rest was not examined: it needs a name server that answers");
    return {};
  }
  ASSIGN_OR_RETURN(const auto names, NameService::create(*loop, resolverOptions(config, options)));
  const Router router(config.send, config.destination);
  Examination examination{config, options, router, *loop, *names, findings, {}};
  examineAddresses(examination);
  examineAuthors(examination);
  examineDestinations(examination);
  examineSmartHosts(examination);
  return {};
}

std::string quoted(std::string_view text) {
  return "\"" + std::string(text.substr(0, kMaxQuotedBytes)) +
         (text.size() > kMaxQuotedBytes ? "…\"" : "\"");
}

std::string listed(const std::vector<std::string>& words, size_t most) {
  std::string text;
  for (size_t i = 0; i < std::min(words.size(), most); ++i) {
    text += (i == 0 ? "" : ", ") + words[i].substr(0, kMaxQuotedBytes);
  }
  if (words.size() > most) text += " and " + std::to_string(words.size() - most) + " more";
  return text;
}

std::string whenOf(WallTime time, WallTime now) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(time - now).count();
  const auto size = seconds < 0 ? -seconds : seconds;
  const bool days = size >= 2 * 86'400;
  const auto count = days ? size / 86'400 : size / 3600;
  const std::string span =
      std::to_string(count) + (days ? " day" : " hour") + (count == 1 ? "" : "s");
  return seconds < 0 ? span + " ago" : "in " + span;
}

}  // namespace sluice::relay
