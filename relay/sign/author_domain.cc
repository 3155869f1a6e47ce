#include "relay/sign/author_domain.h"

#include "net/smtp/path.h"

namespace sluice::relay {
namespace {

// `text` from a '(' on, without the comment that begins there; all of it if that has no end.
std::string_view behindComment(std::string_view text) {
  int depth = 0;
  for (size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '\\') {
      ++at;
    } else if (text[at] == '(') {
      ++depth;
    } else if (text[at] == ')' && --depth == 0) {
      return text.substr(at + 1);
    }
  }
  return {};
}

size_t quotedBytes(std::string_view text) {
  for (size_t at = 1; at < text.size(); ++at) {
    if (text[at] == '\\') {
      ++at;
    } else if (text[at] == '"') {
      return at + 1;
    }
  }
  return text.size();
}

}  // namespace

// Reads on to the end of the first mailbox; what is behind the last '@' outside of quotes is its
// domain. An angle bracket says that what came before it was the display name only.
Result<std::string> authorDomain(std::string_view from) {
  std::string domain;
  bool behind_at = false;
  bool in_angle = false;
  while (!from.empty()) {
    const char c = from.front();
    if (c == '(') {
      from = behindComment(from);
      continue;
    }
    if (c == '"') {
      from.remove_prefix(quotedBytes(from));
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
