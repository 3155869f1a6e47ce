#include "relay/sign/author_domain.h"

#include "net/smtp/address_text.h"
#include "net/smtp/path.h"

namespace sluice::relay {

// Reads on to the end of the first mailbox; what is behind the last '@' outside of quotes is its
// domain. An angle bracket says that what came before it was the display name only.
Result<std::string> authorDomain(std::string_view from) {
  std::string domain;
  bool behind_at = false;
  bool in_angle = false;
  while (!from.empty()) {
    const char c = from.front();
    if (c == '(') {
      from.remove_prefix(smtp::commentBytes(from).value_or(from.size()));
      continue;
    }
    if (c == '"') {
      from.remove_prefix(smtp::quotedBytes(from).value_or(from.size()));
      continue;
    }
    from.remove_prefix(1);
    if (c == ' ' || c == '\t') continue;
    if (c == '<') {
      in_angle = true;
      behind_at = false;
      domain.clear();
    } else if (c == '@') {
      behind_at = true;
      domain.clear();
    } else if ((in_angle && c == '>') || (!in_angle && c == ',' && behind_at) || c == ';') {
      break;
    } else if (c == ':' || c == ',') {  // behind a group's name, an obsolete route, nothing
      behind_at = false;
    } else if (behind_at) {
      domain.push_back(c);
    }
  }
  if (domain.empty()) return fail(Errc::Malformed, "From names no domain");
  return smtp::domainKey(domain);
}

}  // namespace sluice::relay
