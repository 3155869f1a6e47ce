#include "relay/config/config_printer.h"

#include "relay/config/config_keys.h"

namespace sluice::relay {
namespace {

template <class T>
void printAll(std::string_view name, const Keys<T>& keys, const std::vector<T>& sections,
              std::string& out) {
  for (const T& section : sections) {
    out.append("\n[[").append(name).append("]]\n");
    printKeys(keys, section, out);
  }
}

void printOne(std::string_view name, const Keys<Config>& keys, const Config& config,
              std::string& out) {
  out.append("\n[").append(name).append("]\n");
  printKeys(keys, config, out);
}

}  // namespace

std::string printConfig(const Config& config) {
  std::string out;
  printKeys(topKeys(), config, out);
  printOne("dns", dnsKeys(), config, out);
  printAll("receive", receiveKeys(), config.receive, out);
  printAll("send", sendKeys(), config.send, out);
  printAll("destination", destinationKeys(), config.destination, out);
  printAll("dkim", dkimKeys(), config.dkim, out);
  printOne("queue", queueKeys(), config, out);
  printOne("tracking", trackingKeys(), config, out);
  printOne("tls_report", tlsReportKeys(), config, out);
  printOne("admin", adminKeys(), config, out);
  printOne("log", logKeys(), config, out);
  printOne("process", processKeys(), config, out);
  return out;
}

}  // namespace sluice::relay
