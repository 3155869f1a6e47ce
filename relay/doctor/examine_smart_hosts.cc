// Do the smart hosts answer, and do they take our credentials? Logs in, and leaves before MAIL.
#include <fmt/format.h>

#include <algorithm>

#include "relay/config/config_names.h"
#include "relay/config/tls_files.h"
#include "relay/doctor/examinations.h"
#include "relay/doctor/host_judgement.h"

namespace sluice::relay {
namespace {

constexpr size_t kMaxHosts = 8;  // of one connector

std::vector<ProbeTarget> targetsOf(Examination& examination, const SendConfig& connector) {
  Findings& findings = examination.findings;
  std::vector<ProbeTarget> targets;
  auto loaded = loadClientTls(connector, true);
  if (!loaded.context) {
    findings.warning("certificate", connector.name, "authorities: " + loaded.why,
                     "install ca-certificates, or set tls_ca_file");
    loaded = loadClientTls(connector, false);
  }
  for (size_t i = 0; i < std::min(connector.smart_hosts.size(), kMaxHosts); ++i) {
    const SmartHost& host = connector.smart_hosts[i];
    const auto answer = examination.names.smartHostAddresses(host.host);
    if (!answer) {
      findings.error("smart-host", formatSmartHost(host),
                     "its name leads nowhere: " + answer.error().detail,
                     "is smart_hosts of [[send]] \"" + connector.name + "\" spelt right?");
      continue;
    }
    const std::vector<std::string> names{host.host};
    const DeliveryLimits limits = examination.router.limitsFor(connector, "", names);
    ProbeTarget target;
    target.host = host.host;
    target.endpoint = {answer->addresses.front(), host.port};
    for (const IpAddress& source : connector.source_addresses) {
      if (source.isV4() == target.endpoint.address.isV4()) target.source = source;
    }
    target.helo = connector.helo.empty() ? examination.config.hostname : connector.helo;
    target.demand = tlsDemand(limits.tls, connector.route, host.port);
    target.tls = loaded.context;
    target.credentials = connector.username.empty() ? nullptr : &connector;
    target.patience = examination.options.patience;
    if (!target.tls) target.demand = {};
    targets.push_back(std::move(target));
  }
  return targets;
}

}  // namespace

void examineSmartHosts(Examination& examination) {
  for (const SendConfig& connector : examination.config.send) {
    if (connector.route != Route::SmartHost) continue;
    const auto targets = targetsOf(examination, connector);
    const auto results = probeAll(examination.loop, targets);
    bool any = false;
    for (size_t i = 0; i < targets.size(); ++i) any |= takesMail(targets[i], results[i]);
    for (size_t i = 0; i < targets.size(); ++i) {
      judgeHost("smart-host", targets[i], results[i],
                {fmt::format("{} [{}]", targets[i].host, targets[i].endpoint.toString()), any},
                examination.findings);
    }
  }
}

}  // namespace sluice::relay
