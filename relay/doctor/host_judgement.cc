#include "relay/doctor/host_judgement.h"

#include <fmt/format.h>

#include <algorithm>

#include "net/smtp/path.h"
#include "relay/deliver/configuration_fault.h"
#include "relay/doctor/examinations.h"

namespace sluice::relay {
namespace {

using Stage = ProbeResult::Stage;

constexpr std::chrono::days kSoon{7};

class Judge {
 public:
  Judge(std::string_view check, const ProbeTarget& target, const ProbeResult& result,
        const HostJudgement& about, Findings& findings)
      : check_(check), target_(target), result_(result), about_(about), findings_(findings) {}

  void judge() const {
    if (result_.failure) return judgeFailure(*result_.failure);
    if (target_.credentials) {
      findings_.ok(
          "log-in", about_.subject,
          fmt::format("takes the credentials of [[send]] \"{}\"", target_.credentials->name));
    }
    judgeTls();
  }

 private:
  // As bad as it is for the destination as a whole.
  void bad(std::string text, std::string fix) const {
    if (about_.alternatives) {
      findings_.warning(check_, about_.subject, std::move(text), std::move(fix));
    } else {
      findings_.error(check_, about_.subject, std::move(text), std::move(fix));
    }
  }

  void judgeFailure(const Error& failure) const {
    switch (result_.reached) {
      case Stage::Connect:
        return bad("cannot be connected to: " + failure.detail,
                   "see what the check of port 25 says; try: nc -vz -w 5 " + target_.host + " " +
                       std::to_string(target_.endpoint.port));
      case Stage::Greeting:
      case Stage::Hello:
        return judgeRefusal(failure);
      case Stage::Tls:
        return judgeHandshake(failure);
      case Stage::Auth:
        return judgeLogIn(failure);
      case Stage::Done:
        return;
    }
  }

  void judgeRefusal(const Error& failure) const {
    if (failure.code == Errc::TlsMissing) {
      return bad(
          "does not offer STARTTLS, and it is required",
          target_.credentials
              ? "use the port on which it offers TLS (587 or 465): credentials never go in clear"
              : "set tls = \"opportunistic\" for it in a [[destination]], if mail may go in clear");
    }
    if (result_.refusal) {
      const std::string_view advice = configurationFault(*result_.refusal);
      return bad("refuses us: " + quoted(failure.detail),
                 advice.empty()
                     ? "the reply says why: often a blocklist, a missing PTR record or a "
                       "reputation"
                     : std::string(advice));
    }
    bad((result_.reached == Stage::Greeting ? "connects, but gives no greeting: "
                                            : "stops talking behind its greeting: ") +
            failure.detail,
        "a host that greets late is waited for longer by delivery: try --timeout 60s; else "
        "something on the way swallows SMTP");
  }

  void judgeHandshake(const Error& failure) const {
    const std::string text = "the TLS handshake fails: " + failure.detail;
    if (target_.demand.may_fall_back) {
      findings_.note(check_, about_.subject, text + "; mail goes there in clear");
      return;
    }
    bad(text, "ask its operator; versions before TLS 1.2 are not spoken");
  }

  void judgeLogIn(const Error& failure) const {
    const SendConfig& connector = *target_.credentials;
    const std::string_view advice =
        result_.refusal ? configurationFault(*result_.refusal) : std::string_view();
    findings_.error("log-in", about_.subject,
                    fmt::format("does not take the credentials of [[send]] \"{}\" (user {}): {}",
                                connector.name, connector.username, failure.detail),
                    advice.empty() ? "mend username, password_file or auth_mechanism, then reload"
                                   : std::string(advice));
  }

  void judgeTls() const {
    if (result_.tls_version.empty()) {
      const bool wanted = target_.demand.when != TlsDemand::When::Never;
      findings_.note(check_, about_.subject,
                     wanted ? "takes mail, and offers no STARTTLS: mail goes there in clear"
                            : "takes mail; TLS is off for it",
                     wanted ? "" : "tls = \"opportunistic\" costs nothing");
      return;
    }
    if (!result_.certificate) {
      findings_.ok(check_, about_.subject, "takes mail by " + result_.tls_version);
      return;
    }
    const net::ShownCertificate& shown = *result_.certificate;
    const WallTime now = Clock::system().wall();
    const std::string names = shown.facts.names.empty() ? "no name" : listed(shown.facts.names);
    std::string problem;
    if (shown.facts.ends <= now) {
      problem = "expired " + whenOf(shown.facts.ends, now);
    } else if (!shown.serves_host) {
      problem = "is for " + names + ", not for " + target_.host;
    } else if (!shown.chain_problem.empty()) {
      problem = "is of no known authority (" + shown.chain_problem + ")";
    }
    const std::string takes = "takes mail by " + result_.tls_version;
    if (problem.empty() && shown.facts.ends - now < kSoon) {
      findings_.note(check_, about_.subject,
                     takes + "; its certificate expires " + whenOf(shown.facts.ends, now));
    } else if (problem.empty()) {
      findings_.ok(check_, about_.subject,
                   fmt::format("{}; certificate for {}, expires {}", takes, names,
                               whenOf(shown.facts.ends, now)));
    } else if (target_.demand.verify) {
      bad("its certificate " + problem + ", and it must be right (tls = \"verify\")",
          "tell its operator; until then tls = \"required\" in a [[destination]] takes any "
          "certificate");
    } else {
      findings_.note(check_, about_.subject,
                     takes + "; its certificate " + problem + ", which nobody demands");
    }
  }

  std::string_view check_;
  const ProbeTarget& target_;
  const ProbeResult& result_;
  const HostJudgement& about_;
  Findings& findings_;
};

}  // namespace

void judgeHost(std::string_view check, const ProbeTarget& target, const ProbeResult& result,
               const HostJudgement& about, Findings& findings) {
  Judge(check, target, result, about, findings).judge();
}

bool takesMail(const ProbeTarget& target, const ProbeResult& result) {
  if (result.failure) return false;
  if (!target.demand.verify) return true;
  return result.certificate && result.certificate->serves_host &&
         result.certificate->chain_problem.empty() &&
         result.certificate->facts.ends > Clock::system().wall();
}

std::string_view baseDomain(std::string_view host) {
  const size_t last = host.rfind('.');
  if (last == std::string_view::npos || last == 0) return host;
  const size_t before = host.rfind('.', last - 1);
  return before == std::string_view::npos ? host : host.substr(before + 1);
}

bool greetsAsItself(const ProbeTarget& target, const ProbeResult& result) {
  const auto base = baseDomain(target.host);
  if (smtp::equalsIgnoringCase(baseDomain(result.greeting), base)) return true;
  if (smtp::equalsIgnoringCase(baseDomain(result.offer.name), base)) return true;
  // Who has a certificate for the name is the host.
  return result.certificate && result.certificate->serves_host &&
         result.certificate->chain_problem.empty();
}

}  // namespace sluice::relay
