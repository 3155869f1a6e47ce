// Do our own certificates bear our name, and how long do they last?
#include <fmt/format.h>

#include "net/smtp/path.h"
#include "net/tls/certificate_facts.h"
#include "net/tls/tls_identity.h"
#include "relay/config/file_checks.h"
#include "relay/doctor/examinations.h"

namespace sluice::relay {
namespace {

constexpr size_t kMaxPemBytes = 4 << 20;
constexpr std::chrono::days kSoon{14};

void examineChain(const std::string& path, const std::string& hostname, Findings& findings) {
  const auto pem = readWholeFile(path, kMaxPemBytes);
  const auto chain = pem ? net::TlsCertificates::parse(*pem)
                         : Result<net::TlsCertificates>(tl::unexpected(pem.error()));
  if (!chain) {
    findings.error("certificate", path, chain.error().detail,
                   "put a PEM chain there, leaf first, that the relay's user can read");
    return;
  }
  const WallTime now = Clock::system().wall();
  const WallTime ends = chain->expiry();
  const auto facts = net::factsOf(*chain->all().front());
  const std::string names = facts.names.empty() ? "no name" : listed(facts.names);
  if (ends <= now) {
    findings.error("certificate", path,
                   fmt::format("expired {}: clients that check certificates refuse to talk",
                               whenOf(ends, now)),
                   "renew it in place; it is taken over within 20 seconds");
  } else if (facts.begins > now) {
    findings.error("certificate", path, "not valid yet: it begins " + whenOf(facts.begins, now),
                   "set the clock right, or use the certificate that is valid now");
  } else if (ends - now < kSoon) {
    findings.warning("certificate", path, "expires " + whenOf(ends, now),
                     "renew it in place, and see why that has not happened by itself");
  } else {
    findings.ok("certificate", path, fmt::format("for {}, expires {}", names, whenOf(ends, now)));
  }
  if (!net::certificateServes(*chain->all().front(), hostname)) {
    findings.note("certificate", path,
                  fmt::format("is for {}, not for hostname {}", names, hostname),
                  "clients must connect by a name that is in it");
  }
}

}  // namespace

void examineCertificates(const Config& config, Findings& findings) {
  for (const ReceiveConfig& connector : config.receive) {
    if (connector.tls == ReceiveTls::Off) continue;
    for (const std::string& path : connector.tls_certificate) {
      examineChain(path, config.hostname, findings);
    }
    if (connector.tls_certificate.empty()) {
      findings.note("certificate", "[[receive]] " + connector.name,
                    "has no certificate: clients cannot use TLS here",
                    "set tls_certificate and tls_key, or tls = \"off\" to say that it is meant");
    }
  }
}

}  // namespace sluice::relay
