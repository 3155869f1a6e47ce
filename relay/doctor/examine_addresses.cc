// Do the addresses that our mail comes from have names, do these lead back, and do they fit what we
// say in EHLO? Large receivers refuse mail from addresses without (RFC 5321 section 4.1.4 says what
// EHLO should name; that it must is their rule).
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <optional>

#include "net/smtp/path.h"
#include "relay/doctor/examinations.h"

namespace sluice::relay {
namespace {

constexpr size_t kMaxNamesFollowed = 5;

// The address that the kernel would send from; nothing is sent. Nothing without a route.
std::optional<IpAddress> usualSource(const Endpoint& to) {
  sockaddr_storage address{};
  to.to(address);
  const int socket = ::socket(address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return std::nullopt;
  const socklen_t size = to.address.isV4() ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  std::optional<IpAddress> source;
  sockaddr_storage own{};
  socklen_t own_size = sizeof own;
  if (::connect(socket, reinterpret_cast<const sockaddr*>(&address), size) == 0 &&
      ::getsockname(socket, reinterpret_cast<sockaddr*>(&own), &own_size) == 0) {
    source = Endpoint::from(reinterpret_cast<const sockaddr&>(own)).address;
  }
  ::close(socket);
  return source;
}

bool isOurs(const IpAddress& address) {
  sockaddr_storage own{};
  Endpoint{address, 0}.to(own);
  const int socket = ::socket(own.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return false;
  const socklen_t size = address.isV4() ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  const bool bound = ::bind(socket, reinterpret_cast<const sockaddr*>(&own), size) == 0;
  ::close(socket);
  return bound;
}

// Addresses of the Internet far away, of each family (RFC 5737 and RFC 3849: nobody's).
std::vector<IpAddress> usualSources() {
  std::vector<IpAddress> sources;
  for (const char* far : {"198.51.100.1:25", "[2001:db8::1]:25"}) {
    const auto source = usualSource(*Endpoint::parse(far));
    if (source) sources.push_back(*source);
  }
  return sources;
}

bool isGoodHelo(const std::string& helo) {
  if (helo.starts_with('[')) return true;
  if (helo.find('.') == std::string::npos) return false;
  static constexpr std::array kNobodys{".local",     ".localdomain", ".internal", ".lan",
                                       ".home.arpa", ".localhost",   ".invalid",  ".example"};
  return std::none_of(kNobodys.begin(), kNobodys.end(),
                      [&](const char* end) { return helo.ends_with(end); });
}

bool leadsTo(NameService& names, const std::string& host, const IpAddress& address) {
  const auto answer = names.addresses(host);
  if (!answer) return false;
  const auto& all = answer->addresses;
  return std::find(all.begin(), all.end(), address) != all.end();
}

void examineNames(Examination& examination, const std::string& helo, const IpAddress& address) {
  Findings& findings = examination.findings;
  const std::string subject = address.toString();
  const auto names = examination.names.names(address);
  if (!names && !isMissing(names.error())) {
    findings.warning("ptr", subject, "its PTR record cannot be looked up: " + names.error().detail,
                     "others may see the same: ask whoever serves the reverse zone");
    return;
  }
  if (!names || names->empty()) {
    findings.error("ptr", subject, "has no name (PTR record): large receivers refuse mail from it",
                   fmt::format("let whoever gave you the address set its PTR record to {}", helo));
    return;
  }
  std::vector<std::string> confirmed;
  for (size_t i = 0; i < std::min(names->size(), kMaxNamesFollowed); ++i) {
    if (leadsTo(examination.names, (*names)[i], address)) confirmed.push_back((*names)[i]);
  }
  if (confirmed.empty()) {
    findings.error("ptr", subject,
                   fmt::format("its name {} does not lead back to it: receivers count it as none",
                               listed(*names)),
                   fmt::format("give {} an address record for {}", names->front(), subject));
    return;
  }
  const bool same = std::any_of(confirmed.begin(), confirmed.end(), [&](const std::string& name) {
    return smtp::equalsIgnoringCase(name, helo);
  });
  if (same) {
    findings.ok("ptr", subject, fmt::format("is {}, as EHLO says, and that leads back", helo));
  } else if (!helo.starts_with('[') && leadsTo(examination.names, helo, address)) {
    findings.note(
        "ptr", subject,
        fmt::format("is {}; EHLO says {}, which leads to it, too", listed(confirmed), helo),
        "nothing is wrong; one name for both is what most receivers like best");
  } else {
    findings.warning(
        "helo", helo,
        fmt::format("does not lead to {}, whose name is {}", subject, listed(confirmed)),
        fmt::format("set helo (or hostname) to {}, or give {} an address record for {}",
                    confirmed.front(), helo, subject));
  }
}

// What the world sees mail of this connector come from.
std::set<IpAddress> publicAddresses(Examination& examination, const SendConfig& connector,
                                    const std::string& helo) {
  Findings& findings = examination.findings;
  const bool chosen = !connector.source_addresses.empty();
  std::set<IpAddress> found;
  bool translated = false;
  for (const IpAddress& source : chosen ? connector.source_addresses : usualSources()) {
    if (!isOurs(source)) {
      findings.error("address", source.toString(),
                     "is no address of this machine: nothing can be sent from it",
                     "take it out of source_addresses of [[send]] \"" + connector.name +
                         "\", or give it to an interface");
    } else if (source.isPrivate()) {
      translated = true;
    } else {
      found.insert(source);
    }
  }
  const auto& given = examination.options.addresses;
  if (!given.empty()) return {given.begin(), given.end()};
  if (!translated) return found;
  // Behind a translation: the name that we give ourselves says where it comes out, if it is right.
  const auto answer = examination.names.addresses(helo);
  if (answer) {
    for (const IpAddress& address : answer->addresses) {
      if (!address.isPrivate()) found.insert(address);
    }
  }
  findings.note("address", connector.name,
                found.empty()
                    ? "mail leaves from a private address, and what the world sees is not known"
                    : fmt::format("mail leaves from a private address; taken for what the world "
                                  "sees: the addresses of {}",
                                  helo),
                "say what it is with --address");
  return found;
}

}  // namespace

void examineAddresses(Examination& examination) {
  std::set<std::pair<std::string, IpAddress>> examined;
  std::set<std::string> helos;
  for (const SendConfig& connector : examination.config.send) {
    if (connector.route != Route::Mx) continue;
    const std::string& helo = connector.helo.empty() ? examination.config.hostname : connector.helo;
    if (helos.insert(helo).second && !isGoodHelo(helo)) {
      examination.findings.error("helo", helo, "is no name of the public DNS, and EHLO says it",
                                 "set hostname, or helo of [[send]], to the name of this machine's "
                                 "public address");
    }
    for (const IpAddress& address : publicAddresses(examination, connector, helo)) {
      examination.public_addresses.insert(address);
      if (examined.emplace(helo, address).second) examineNames(examination, helo, address);
    }
  }
}

}  // namespace sluice::relay
