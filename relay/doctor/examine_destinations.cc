// Can mail reach its destinations: MX records, port 25 (blocked, or redirected to somebody else's
// server), STARTTLS, certificates?
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

#include "net/smtp/path.h"
#include "relay/config/tls_files.h"
#include "relay/doctor/examinations.h"
#include "relay/doctor/host_judgement.h"

namespace sluice::relay {
namespace {

constexpr size_t kMaxHosts = 4;  // of one destination
// Stand for the world where nothing else is asked for: their hosts are many and always there.
constexpr std::array kWellKnown{"gmail.com", "outlook.com"};

struct Probed {
  std::string destination;
  ProbeTarget target;
  ProbeResult result;
};

std::string subjectOf(const ProbeTarget& target) {
  return fmt::format("{} [{}]", target.host, target.endpoint.toString());
}

class Destinations {
 public:
  explicit Destinations(Examination& examination)
      : examination_(examination), findings_(examination.findings) {}

  void examine() {
    std::vector<std::string> destinations = examination_.options.destinations;
    if (destinations.empty() && examination_.sendsByMx()) {
      destinations.assign(kWellKnown.begin(), kWellKnown.end());
    }
    for (const std::string& destination : destinations) plan(destination);
    std::vector<ProbeTarget> targets;
    for (const Probed& one : probed_) targets.push_back(one.target);
    const auto results = probeAll(examination_.loop, targets);
    for (size_t i = 0; i < results.size(); ++i) probed_[i].result = results[i];
    judgePort();
    for (const Probed& one : probed_) {
      judgeHost("destination", one.target, one.result,
                {one.destination + " by " + subjectOf(one.target), hasAlternative(one)}, findings_);
    }
  }

 private:
  void plan(const std::string& destination) {
    const auto route = examination_.router.route(destination);
    if (!route) {
      findings_.error("route", destination, "no send connector has an address space for it",
                      "add it to address_spaces of a [[send]], or \"*\" to one");
      return;
    }
    const SendConfig& connector = route->best();
    if (connector.route == Route::SmartHost) {
      findings_.ok("route", destination,
                   "leaves by the smart hosts of [[send]] \"" + connector.name + "\"");
      return;
    }
    const auto answer = examination_.names.mx(destination);
    if (!answer) return judgeMx(destination, answer.error());
    std::vector<std::string> hosts;
    for (const net::MxHost& host : answer->hosts) hosts.push_back(host.name);
    findings_.ok("mx", destination,
                 answer->implicit ? "has no MX record; its own address takes mail" : listed(hosts));
    const DeliveryLimits limits = examination_.router.limitsFor(connector, destination, hosts);
    hosts.resize(std::min(hosts.size(), kMaxHosts));
    for (const std::string& host : hosts) planHost(destination, host, connector, limits);
  }

  void judgeMx(const std::string& destination, const Error& error) {
    if (error.code == Errc::NullMx) {
      findings_.warning("mx", destination, "says that it takes no mail (a null MX record)",
                        "mail to it is returned at once: is the domain right?");
    } else if (isMissing(error)) {
      findings_.error("mx", destination, "has neither MX record nor address: " + error.detail,
                      "is the domain spelt right?");
    } else {
      findings_.error("mx", destination, "cannot be looked up: " + error.detail,
                      "mail to it waits; see what the check of dns says, or ask whoever serves its "
                      "zone");
    }
  }

  // One address of each family, as delivery may use them.
  void planHost(const std::string& destination, const std::string& host,
                const SendConfig& connector, const DeliveryLimits& limits) {
    const auto answer = examination_.names.addresses(host);
    if (!answer) {
      findings_.warning("mx", destination, host + " has no address: " + answer.error().detail,
                        "tell its operator; the other hosts are used");
      return;
    }
    bool have_v4 = false;
    bool have_v6 = false;
    for (const IpAddress& address : answer->addresses) {
      bool& have = address.isV4() ? have_v4 : have_v6;
      if (have) continue;
      const auto& allowed = connector.allow_private_hosts;
      if (address.isPrivate() &&
          std::none_of(allowed.begin(), allowed.end(),
                       [&](const IpNetwork& network) { return network.contains(address); })) {
        findings_.error("mx", destination,
                        fmt::format("{} leads to {}, which is no public address: not connected to",
                                    host, address.toString()),
                        "if it is yours, name its network in allow_private_hosts of [[send]] \"" +
                            connector.name + "\"");
        continue;
      }
      const auto source = sourceFor(connector, address);
      if (!connector.source_addresses.empty() && !source) continue;
      have = true;
      Probed probed;
      probed.destination = destination;
      probed.target.host = host;
      probed.target.endpoint = {address, connector.port};
      probed.target.source = source;
      probed.target.helo = connector.helo.empty() ? examination_.config.hostname : connector.helo;
      probed.target.demand = tlsDemand(limits.tls, connector.route, connector.port);
      probed.target.tls = tlsOf(connector);
      probed.target.patience = examination_.options.patience;
      if (!probed.target.tls) probed.target.demand = {};
      probed_.push_back(std::move(probed));
    }
  }

  static std::optional<IpAddress> sourceFor(const SendConfig& connector, const IpAddress& to) {
    for (const IpAddress& source : connector.source_addresses) {
      if (source.isV4() == to.isV4()) return source;
    }
    return std::nullopt;
  }

  std::shared_ptr<net::TlsClientContext> tlsOf(const SendConfig& connector) {
    const auto known = tls_.find(connector.name);
    if (known != tls_.end()) return known->second;
    auto loaded = loadClientTls(connector, true);
    if (!loaded.context) {
      findings_.warning("certificate", connector.name, "authorities: " + loaded.why,
                        "install ca-certificates, or set tls_ca_file");
      loaded = loadClientTls(connector, false);
    }
    return tls_.emplace(connector.name, std::move(loaded.context)).first->second;
  }

  static bool connected(const Probed& one) {
    return one.result.reached != ProbeResult::Stage::Connect;
  }
  bool hasAlternative(const Probed& one) const {
    return std::any_of(probed_.begin(), probed_.end(), [&](const Probed& other) {
      return other.destination == one.destination && takesMail(other.target, other.result);
    });
  }

  void judgePort() {
    if (probed_.empty()) return;
    const std::string port = "port " + std::to_string(probed_.front().target.endpoint.port);
    if (std::none_of(probed_.begin(), probed_.end(), connected)) return judgeBlocked(port);
    if (!judgeRedirected(port) && !judgeRewritten(port)) {
      const auto open = std::count_if(probed_.begin(), probed_.end(), connected);
      findings_.ok("port-25", port, fmt::format("{} of {} addresses answer", open, probed_.size()));
    }
  }

  void judgeBlocked(const std::string& port) {
    std::set<std::string> destinations;
    for (const Probed& one : probed_) destinations.insert(one.destination);
    const bool several = destinations.size() > 1;
    findings_.error(
        "port-25", port,
        several ? fmt::format("is blocked outwards: none of {} addresses of {} destinations can be "
                              "connected to",
                              probed_.size(), destinations.size())
                : "no address of " + *destinations.begin() +
                      " can be connected to: blocked outwards, or they are down",
        several ? "have the provider open port 25, or use a smart host on port 587"
                : "compare with another: sluice doctor gmail.com outlook.com");
  }

  // One and the same server answers for hosts that have nothing to do with each other.
  bool judgeRedirected(const std::string& port) {
    std::map<std::string, std::set<std::string>> greeted;  // greeting name -> base domains of hosts
    for (const Probed& one : probed_) {
      if (one.result.greeting.empty() || greetsAsItself(one.target, one.result)) continue;
      greeted[smtp::toLowerAscii(one.result.greeting)].insert(
          std::string(baseDomain(one.target.host)));
    }
    for (const auto& [name, hosts] : greeted) {
      if (hosts.size() < 2) continue;
      findings_.error(
          "port-25", port,
          fmt::format("is redirected: {} answers in place of the hosts of {}", quoted(name),
                      listed({hosts.begin(), hosts.end()})),
          "have the provider or firewall leave port 25 alone, or use that server openly, "
          "as a smart host");
      return true;
    }
    for (const Probed& one : probed_) {
      if (one.result.greeting.empty() || greetsAsItself(one.target, one.result)) continue;
      findings_.note(
          "port-25", subjectOf(one.target),
          fmt::format("greets as {}, another domain than its own", quoted(one.result.greeting)),
          "often right; if all destinations greet alike, something answers for them");
    }
    return false;
  }

  // "220 ****": a firewall that takes SMTP to pieces, and takes STARTTLS away.
  bool judgeRewritten(const std::string& port) {
    for (const Probed& one : probed_) {
      if (one.result.greeting.find("***") == std::string::npos) continue;
      findings_.error(
          "port-25", port,
          fmt::format("something between here and {} rewrites SMTP: the greeting is {}",
                      subjectOf(one.target), quoted(one.result.greeting)),
          "switch the firewall's SMTP inspection off (Cisco: no fixup, no inspect esmtp)");
      return true;
    }
    return false;
  }

  Examination& examination_;
  Findings& findings_;
  std::vector<Probed> probed_;
  std::map<std::string, std::shared_ptr<net::TlsClientContext>> tls_;
};

}  // namespace

void examineDestinations(Examination& examination) { Destinations(examination).examine(); }

}  // namespace sluice::relay
