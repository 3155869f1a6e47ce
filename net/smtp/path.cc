// How a path is read: local part, domain or address literal, and the brackets around them.
#include "net/smtp/path.h"

#include <idn2.h>

#include <array>
#include <memory>

#include "net/base/ip_address.h"

namespace sluice::smtp {
namespace {

constexpr size_t kMaxLabelBytes = 63;  // RFC 1035 section 2.3.4

bool isLetterOrDigit(unsigned char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// RFC 5322 section 3.2.3.
constexpr std::array<bool, 256> kAtext = [] {
  std::array<bool, 256> table{};
  for (unsigned char c = 'a'; c <= 'z'; ++c) table[c] = table[c - 'a' + 'A'] = true;
  for (unsigned char c = '0'; c <= '9'; ++c) table[c] = true;
  for (const char c : std::string_view("!#$%&'*+-/=?^_`{|}~")) {
    table[static_cast<unsigned char>(c)] = true;
  }
  return table;
}();

// Length of the well-formed UTF-8 character at the front, 0 if there is none (RFC 3629 section 4).
size_t utf8Length(std::string_view text) {
  const auto at = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = at(0);
  if (first < 0x80) return 1;
  const size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((at(i) & 0xc0) != 0x80) return 0;
  }
  if (first == 0xe0 && at(1) < 0xa0) return 0;  // overlong
  if (first == 0xed && at(1) > 0x9f) return 0;  // surrogates
  if (first == 0xf0 && at(1) < 0x90) return 0;  // overlong
  if (first == 0xf4 && at(1) > 0x8f) return 0;  // above U+10FFFF
  return length;
}

// Takes a non-ASCII character that may stand in a mailbox: no C1 control, no line or paragraph
// separator, which some software takes for the end of a line.
bool takeUtf8(std::string_view text, size_t& at) {
  const std::string_view rest = text.substr(at);
  const size_t length = utf8Length(rest);
  if (length < 2) return false;
  if (length == 2 && rest[0] == '\xc2' && static_cast<unsigned char>(rest[1]) < 0xa0) return false;
  if (rest.starts_with("\xe2\x80\xa8") || rest.starts_with("\xe2\x80\xa9")) return false;
  at += length;
  return true;
}

// Atom *("." Atom). Gives the index behind it, npos if there is none.
size_t endOfDotString(std::string_view text, bool smtputf8) {
  size_t at = 0;
  bool in_atom = false;
  while (at < text.size()) {
    const auto c = static_cast<unsigned char>(text[at]);
    if (kAtext[c]) {
      ++at;
      in_atom = true;
    } else if (c >= 0x80 && smtputf8) {
      if (!takeUtf8(text, at)) return std::string_view::npos;
      in_atom = true;
    } else if (c == '.' && in_atom) {
      ++at;
      in_atom = false;
    } else {
      break;
    }
  }
  return in_atom ? at : std::string_view::npos;
}

// DQUOTE *QcontentSMTP DQUOTE. Gives the index behind it, npos if there is none.
size_t endOfQuotedString(std::string_view text, bool smtputf8) {
  size_t at = 1;
  while (at < text.size()) {
    const auto c = static_cast<unsigned char>(text[at]);
    if (c == '"') return at + 1;
    if (c >= 0x80) {
      if (!smtputf8 || !takeUtf8(text, at)) return std::string_view::npos;
      continue;
    }
    if (c < 0x20 || c == 0x7f) return std::string_view::npos;
    if (c != '\\') {
      ++at;
      continue;
    }
    if (at + 1 >= text.size() || text[at + 1] < 0x20 || text[at + 1] == 0x7f) {
      return std::string_view::npos;  // quoted-pairSMTP is a backslash and %d32-126
    }
    at += 2;
  }
  return std::string_view::npos;
}

size_t endOfLocalPart(std::string_view text, bool smtputf8) {
  if (text.empty()) return std::string_view::npos;
  return text[0] == '"' ? endOfQuotedString(text, smtputf8) : endOfDotString(text, smtputf8);
}

// A host name in ASCII: labels of letters, digits, hyphens inside and underscores.
bool isAsciiDomain(std::string_view domain) {
  if (domain.empty() || domain.size() > kMaxDomainBytes) return false;
  size_t label = 0;
  for (size_t at = 0; at < domain.size(); ++at) {
    const char c = domain[at];
    if (c == '.') {
      if (label == 0 || domain[at - 1] == '-') return false;
      label = 0;
      continue;
    }
    if (!isLetterOrDigit(static_cast<unsigned char>(c)) && c != '_' && (c != '-' || label == 0)) {
      return false;
    }
    if (++label > kMaxLabelBytes) return false;
  }
  return label > 0 && domain.back() != '-';
}

Result<IpAddress> literalAddress(std::string_view domain) {
  constexpr std::string_view kTag = "IPv6:";
  if (domain.size() < 3 || domain.front() != '[' || domain.back() != ']') {
    return fail(Errc::Malformed, "no address literal");
  }
  std::string_view content = domain.substr(1, domain.size() - 2);
  const bool tagged =
      content.size() > kTag.size() && equalsIgnoringCase(content.substr(0, kTag.size()), kTag);
  if (tagged) content.remove_prefix(kTag.size());
  const auto address = IpAddress::parse(content);
  const bool has_colon = content.find(':') != std::string_view::npos;
  if (!address || tagged != has_colon) return fail(Errc::Malformed, "not a valid address literal");
  return *address;
}

Result<void> checkDomain(std::string_view domain, bool smtputf8) {
  if (domain.size() > kMaxDomainBytes) return fail(Errc::TooLarge, "domain too long");
  if (isAscii(domain)) {
    if (isAsciiDomain(domain)) return {};
    return fail(Errc::Malformed, "not a valid domain");
  }
  if (!smtputf8) return fail(Errc::Malformed, "8-bit address needs SMTPUTF8");
  RETURN_IF_ERROR(domainKey(domain));
  return {};
}

// Splits and checks local-part "@" domain.
Result<Path> readMailbox(std::string_view text, bool smtputf8) {
  if (text.size() + 2 > kMaxPathBytes) return fail(Errc::TooLarge, "path too long");
  const size_t local_end = endOfLocalPart(text, smtputf8);
  if (local_end == std::string_view::npos) {
    return fail(Errc::Malformed, !smtputf8 && !isAscii(text) ? "8-bit address needs SMTPUTF8"
                                                             : "not a valid local part");
  }
  if (local_end > kMaxLocalPartBytes) return fail(Errc::TooLarge, "local part too long");
  Path path;
  path.mailbox = text;
  path.local_part = text.substr(0, local_end);
  if (local_end == text.size()) return path;
  if (text[local_end] != '@') return fail(Errc::Malformed, "not a valid local part");
  path.domain = text.substr(local_end + 1);
  path.address_literal = path.domain.starts_with('[');
  if (path.address_literal) {
    RETURN_IF_ERROR(literalAddress(path.domain));
  } else {
    RETURN_IF_ERROR(checkDomain(path.domain, smtputf8));
  }
  return path;
}

// The end of the path that `text` begins with: its '>' outside quotes.
size_t closingBracket(std::string_view text) {
  bool quoted = false;
  for (size_t at = 1; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '\\' && quoted) {
      ++at;
    } else if (c == '"') {
      quoted = !quoted;
    } else if (c == '>' && !quoted) {
      return at;
    }
  }
  return std::string_view::npos;
}

Result<Path> takePath(std::string_view& text, bool smtputf8) {
  if (!text.starts_with('<')) return fail(Errc::Malformed, "path needs angle brackets");
  const size_t end = closingBracket(text);
  if (end == std::string_view::npos) return fail(Errc::Malformed, "path without closing bracket");
  const std::string_view inside = text.substr(1, end - 1);
  if (inside.starts_with('@')) return fail(Errc::Malformed, "source routes are not supported");
  Path path;
  if (!inside.empty()) {
    ASSIGN_OR_RETURN(path, readMailbox(inside, smtputf8));
  }
  text.remove_prefix(end + 1);
  return path;
}

}  // namespace

Result<Path> takeReversePath(std::string_view& text, bool smtputf8) {
  std::string_view rest = text;
  ASSIGN_OR_RETURN(const Path path, takePath(rest, smtputf8));
  if (path.bare()) return fail(Errc::Malformed, "address needs a domain");
  text = rest;
  return path;
}

Result<Path> takeForwardPath(std::string_view& text, bool smtputf8) {
  std::string_view rest = text;
  ASSIGN_OR_RETURN(const Path path, takePath(rest, smtputf8));
  if (path.null()) return fail(Errc::Malformed, "empty path");
  // RFC 5321 section 4.5.1: <postmaster>, in any case.
  if (path.bare() && !equalsIgnoringCase(path.local_part, "postmaster")) {
    return fail(Errc::Malformed, "address needs a domain");
  }
  text = rest;
  return path;
}

Result<Path> parseMailbox(std::string_view text, bool smtputf8) {
  ASSIGN_OR_RETURN(const Path path, readMailbox(text, smtputf8));
  if (path.domain.empty()) return fail(Errc::Malformed, "address needs a domain");
  return path;
}

std::string_view domainOf(std::string_view mailbox) {
  const size_t at = mailbox.rfind('@');  // neither domains nor address literals hold one
  return at == std::string_view::npos ? std::string_view() : mailbox.substr(at + 1);
}

Result<std::string> domainKey(std::string_view domain) {
  if (domain.starts_with('[')) {
    ASSIGN_OR_RETURN(const IpAddress address, literalAddress(domain));
    return "[" + address.toString() + "]";
  }
  if (domain.ends_with('.')) domain.remove_suffix(1);
  if (isAscii(domain)) {
    if (!isAsciiDomain(domain)) return fail(Errc::Malformed, "not a valid domain");
    return toLowerAscii(domain);
  }
  if (domain.size() > kMaxDomainBytes) return fail(Errc::TooLarge, "domain too long");
  if (!isUtf8(domain)) return fail(Errc::Malformed, "domain is not UTF-8");
  char* raw = nullptr;
  const int status =
      idn2_to_ascii_8z(std::string(domain).c_str(), &raw, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
  const std::unique_ptr<char, void (*)(void*)> ascii(raw, idn2_free);
  // The mapping can make dots and other ASCII out of their look-alikes: check what came out.
  if (status != IDN2_OK || !isAsciiDomain(ascii.get())) {
    return fail(Errc::Malformed, "not a valid internationalized domain");
  }
  return toLowerAscii(ascii.get());
}

bool isUtf8(std::string_view text) {
  while (!text.empty()) {
    const size_t length = utf8Length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

bool isAscii(std::string_view text) {
  unsigned char all = 0;
  for (const char c : text) all |= static_cast<unsigned char>(c);
  return all < 0x80;
}

std::string toLowerAscii(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

bool equalsIgnoringCase(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    const auto lower = [](char c) {
      return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
    };
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

}  // namespace sluice::smtp
