// Do the name servers answer, how fast, and do they validate (DNSSEC)?
#include <fmt/format.h>

#include "relay/doctor/examinations.h"

namespace sluice::relay {
namespace {

// Signed, and kept by IANA for questions of this kind (RFC 2606).
constexpr const char* kSignedName = "example.com";
constexpr std::chrono::milliseconds kSlowAnswer{200};  // of what was asked for a moment before

struct ServerAnswer {
  bool answers = false;
  std::string why;  // it does not
  bool validates = false;
  Duration took{};  // for what it has in its cache
};

bool isAnswer(const Result<net::AddressAnswer>& answer) {
  return answer || isMissing(answer.error());
}

ServerAnswer askServer(const Config& config, const DoctorOptions& options, const Endpoint& server,
                       net::Loop& loop) {
  net::ResolverOptions resolver;
  resolver.servers = {server};
  resolver.timeout = std::min<milliseconds>(config.dns.timeout, options.patience);
  resolver.attempts = 1;
  resolver.trust_ad = true;
  ServerAnswer result;
  // Once so that it is in the server's cache, and again by a resolver of ours that knows nothing.
  for (int turn = 0; turn < 2; ++turn) {
    const auto names = NameService::create(loop, resolver);
    if (!names) {
      result.why = names.error().detail;
      return result;
    }
    const SteadyTime begun = Clock::system().steady();
    const auto answer = (*names)->addresses(kSignedName);
    result.took = Clock::system().steady() - begun;
    result.answers = isAnswer(answer);
    if (!result.answers) {
      result.why = answer.error().detail;
      return result;
    }
    result.validates = answer && answer->secure;
  }
  return result;
}

void examineAnswer(const Endpoint& server, const ServerAnswer& answer, const Config& config,
                   Findings& findings) {
  const std::string name = server.toString();
  const std::string took =
      fmt::format("answers in {} ms",
                  std::chrono::duration_cast<std::chrono::milliseconds>(answer.took).count());
  if (answer.took > kSlowAnswer) {
    findings.warning("dns", name, took + " what it knows: each new domain waits for that",
                     "run a caching resolver on this machine (unbound) and name it in [dns] "
                     "servers");
  } else {
    findings.ok("dns", name, took);
  }
  if (config.dns.trust_ad && !answer.validates) {
    findings.warning("dnssec", name,
                     fmt::format("does not say that it validated {}, which is signed: no "
                                 "destination's DANE can be applied",
                                 kSignedName),
                     "let it validate (unbound does by default), or name another in [dns] servers");
  } else if (config.dns.trust_ad && !server.address.isLoopback()) {
    findings.warning(
        "dnssec", name,
        "trust_ad believes it, and it is not on this machine: whoever sits between can "
        "forge what it says",
        "run a validating resolver here and name 127.0.0.1 in [dns] servers");
  } else if (config.dns.trust_ad) {
    findings.ok("dnssec", name, "validates");
  } else {
    findings.note("dnssec", name,
                  answer.validates ? "validates, and is not believed (trust_ad = false)"
                                   : "does not validate",
                  "only DANE needs it: a validating resolver on this machine and trust_ad = true");
  }
}

}  // namespace

bool examineNameServers(const Config& config, const DoctorOptions& options, net::Loop& loop,
                        Findings& findings) {
  std::vector<Endpoint> servers = config.dns.servers;
  if (servers.empty()) {
    auto system = net::systemNameServers();
    if (!system || system->empty()) {
      findings.error("dns", "/etc/resolv.conf", "names no name server that can be read",
                     "name one in [dns] servers");
      return false;
    }
    servers = std::move(*system);
  }
  std::vector<ServerAnswer> answers;
  bool any = false;
  for (const Endpoint& server : servers) {
    answers.push_back(askServer(config, options, server, loop));
    any = any || answers.back().answers;
  }
  for (size_t i = 0; i < servers.size(); ++i) {
    if (answers[i].answers) {
      examineAnswer(servers[i], answers[i], config, findings);
      continue;
    }
    const std::string text = "does not answer: " + answers[i].why;
    const std::string fix =
        "start it, let this machine reach it (UDP and TCP port 53), or take it "
        "out of [dns] servers";
    if (any) {
      findings.warning("dns", servers[i].toString(), text + "; look-ups wait for it", fix);
    } else {
      findings.error("dns", servers[i].toString(), text + ": no mail leaves by MX", fix);
    }
  }
  return any;
}

}  // namespace sluice::relay
