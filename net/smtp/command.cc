// How command lines are read: verb, path, then parameters from a table each.
#include "net/smtp/command.h"

#include <array>
#include <charconv>

#include "net/smtp/xtext.h"

namespace sluice::smtp {
namespace {

constexpr size_t kMaxEnvidBytes = 100;  // RFC 3461 section 4.4
constexpr size_t kMaxOrcptBytes = 500;  // RFC 3461 section 4.2

struct VerbName {
  std::string_view name;
  Verb verb;
};
// In the order of how often they come.
constexpr std::array kVerbs{
    VerbName{"RCPT", Verb::Rcpt},
    VerbName{"MAIL", Verb::Mail},
    VerbName{"DATA", Verb::Data},
    VerbName{"BDAT", Verb::Bdat},
    VerbName{"EHLO", Verb::Ehlo},
    VerbName{"QUIT", Verb::Quit},
    VerbName{"RSET", Verb::Rset},
    VerbName{"NOOP", Verb::Noop},
    VerbName{"HELO", Verb::Helo},
    VerbName{"STARTTLS", Verb::StartTls},
    VerbName{"AUTH", Verb::Auth},
    VerbName{"VRFY", Verb::Vrfy},
    VerbName{"HELP", Verb::Help},
    VerbName{"XCLIENT", Verb::XClient},
    VerbName{"EXPN", Verb::NotImplemented},
    VerbName{"ETRN", Verb::NotImplemented},
    VerbName{"TURN", Verb::NotImplemented},
    VerbName{"ATRN", Verb::NotImplemented},
    VerbName{"SEND", Verb::NotImplemented},
    VerbName{"SOML", Verb::NotImplemented},
    VerbName{"SAML", Verb::NotImplemented},
    VerbName{"WIZ", Verb::NotImplemented},
    VerbName{"DEBUG", Verb::NotImplemented},
    VerbName{"XFORWARD", Verb::NotImplemented},
    VerbName{"GET", Verb::Foreign},
    VerbName{"POST", Verb::Foreign},
    VerbName{"CONNECT", Verb::Foreign},
    VerbName{"PUT", Verb::Foreign},
    VerbName{"HEAD", Verb::Foreign},
    VerbName{"DELETE", Verb::Foreign},
    VerbName{"OPTIONS", Verb::Foreign},
    VerbName{"TRACE", Verb::Foreign},
    VerbName{"PATCH", Verb::Foreign},
    VerbName{"PRI", Verb::Foreign},
    VerbName{"PROXY", Verb::Foreign},  // of a proxy that is not known as one
};

tl::unexpected<Rejection> reject(int code, EnhancedStatusCode status, std::string text) {
  return tl::unexpected<Rejection>(Rejection{code, status, std::move(text)});
}
tl::unexpected<Rejection> badParameter(std::string text) {
  return reject(501, {5, 5, 4}, std::move(text));
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Takes the next word and the spaces behind it.
std::string_view takeWord(std::string_view& text) {
  const std::string_view word = text.substr(0, text.find(' '));
  text.remove_prefix(word.size());
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  return word;
}

struct Parameter {
  std::string_view keyword;
  std::string_view value;
  bool has_value = false;
};

// esmtp-param of RFC 5321 section 4.1.2. A value's own form is its reader's to check.
std::optional<Parameter> readParameter(std::string_view word) {
  Parameter parameter;
  const size_t equals = word.find('=');
  parameter.keyword = word.substr(0, equals);
  if (equals != std::string_view::npos) {
    parameter.value = word.substr(equals + 1);
    parameter.has_value = true;
    if (parameter.value.empty()) return std::nullopt;
  }
  if (parameter.keyword.empty() || parameter.keyword.front() == '-') return std::nullopt;
  for (const char c : parameter.keyword) {
    const char lower = static_cast<char>(c | 0x20);
    if ((lower < 'a' || lower > 'z') && (c < '0' || c > '9') && c != '-') return std::nullopt;
  }
  return parameter;
}

// Digits only, at most 20 (RFC 1870 section 4), and within 64 bits.
std::optional<uint64_t> readNumber(std::string_view digits) {
  uint64_t value = 0;
  if (digits.empty() || digits.size() > 20 || digits[0] < '0' || digits[0] > '9') {
    return std::nullopt;
  }
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

using Checked = tl::expected<void, Rejection>;

struct MailParameter {
  std::string_view keyword;
  Checked (*read)(const Parameter&, MailCommand&);
};

Checked readSize(const Parameter& parameter, MailCommand& mail) {
  mail.size = readNumber(parameter.value);
  if (!mail.size) return badParameter("SIZE is not a number of octets");
  return {};
}

Checked readBody(const Parameter& parameter, MailCommand& mail) {
  if (equalsIgnoringCase(parameter.value, "7BIT")) {
    mail.body = Body::SevenBit;
  } else if (equalsIgnoringCase(parameter.value, "8BITMIME")) {
    mail.body = Body::EightBitMime;
  } else if (equalsIgnoringCase(parameter.value, "BINARYMIME")) {
    return reject(555, {5, 5, 4}, "BINARYMIME is not supported");
  } else {
    return badParameter("BODY is 7BIT or 8BITMIME");
  }
  return {};
}

Checked readSmtpUtf8(const Parameter& parameter, MailCommand& mail) {
  if (parameter.has_value) return badParameter("SMTPUTF8 takes no value");
  mail.smtputf8 = true;
  return {};
}

Checked readRequireTls(const Parameter& parameter, MailCommand& mail) {
  if (parameter.has_value) return badParameter("REQUIRETLS takes no value");
  mail.require_tls = true;
  return {};
}

Checked readRet(const Parameter& parameter, MailCommand& mail) {
  if (equalsIgnoringCase(parameter.value, "FULL")) {
    mail.ret = Ret::Full;
  } else if (equalsIgnoringCase(parameter.value, "HDRS")) {
    mail.ret = Ret::Headers;
  } else {
    return badParameter("RET is FULL or HDRS");
  }
  return {};
}

Checked readEnvid(const Parameter& parameter, MailCommand& mail) {
  if (parameter.value.size() > kMaxEnvidBytes || !isXtext(parameter.value)) {
    return badParameter("ENVID is not printable xtext of at most 100 octets");
  }
  mail.envid = parameter.value;
  return {};
}

Checked readMailAuth(const Parameter& parameter, MailCommand& mail) {
  if (!isXtext(parameter.value)) return badParameter("AUTH is not xtext");
  mail.auth = parameter.value;
  return {};
}

constexpr std::array kMailParameters{
    MailParameter{"SIZE", readSize},
    MailParameter{"BODY", readBody},
    MailParameter{"SMTPUTF8", readSmtpUtf8},
    MailParameter{"RET", readRet},
    MailParameter{"ENVID", readEnvid},
    MailParameter{"AUTH", readMailAuth},
    MailParameter{"REQUIRETLS", readRequireTls},
};

struct RcptParameter {
  std::string_view keyword;
  Checked (*read)(const Parameter&, bool smtputf8, RcptCommand&);
};

// NEVER alone, or a list of the others (RFC 3461 section 4.1).
Checked readNotify(const Parameter& parameter, bool, RcptCommand& rcpt) {
  std::string_view rest = parameter.value;
  rcpt.notify_set = true;
  while (true) {
    const size_t comma = rest.find(',');
    const std::string_view word = rest.substr(0, comma);
    if (equalsIgnoringCase(word, "NEVER")) {
      rcpt.notify_never = true;
    } else if (equalsIgnoringCase(word, "SUCCESS")) {
      rcpt.notify_success = true;
    } else if (equalsIgnoringCase(word, "FAILURE")) {
      rcpt.notify_failure = true;
    } else if (equalsIgnoringCase(word, "DELAY")) {
      rcpt.notify_delay = true;
    } else {
      return badParameter("NOTIFY is NEVER, or a list of SUCCESS, FAILURE, DELAY");
    }
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  if (rcpt.notify_never && (rcpt.notify_success || rcpt.notify_failure || rcpt.notify_delay)) {
    return badParameter("NOTIFY=NEVER stands alone");
  }
  return {};
}

// An internationalised address in ORCPT: printable UTF-8 in the place of xtext (RFC 6533 section
// 3), or xtext of it under whatever type, as Postfix up to 3.7 at least writes it.
bool isInternationalised(std::string_view type, std::string_view address) {
  if (!isAscii(address)) {
    return equalsIgnoringCase(type, "utf-8") && parseMailbox(address, true).has_value();
  }
  const auto decoded = decodeEightBitXtext(address);
  return decoded && parseMailbox(*decoded, true).has_value();
}

// addr-type ";" xtext (RFC 3461 section 4.2); UTF-8 in a message that says SMTPUTF8 only.
Checked readOrcpt(const Parameter& parameter, bool smtputf8, RcptCommand& rcpt) {
  const std::string_view value = parameter.value;
  const size_t semicolon = value.find(';');
  const std::string_view type = value.substr(0, semicolon);
  if (value.size() > kMaxOrcptBytes || semicolon == std::string_view::npos || type.empty() ||
      type.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") !=
          std::string_view::npos) {
    return badParameter("ORCPT is a type, ';' and xtext, at most 500 octets");
  }
  const std::string_view address = value.substr(semicolon + 1);
  if (!isXtext(address) && !(smtputf8 && isInternationalised(type, address))) {
    return badParameter("ORCPT's address is not printable xtext");
  }
  rcpt.orcpt = value;
  return {};
}

constexpr std::array kRcptParameters{
    RcptParameter{"NOTIFY", readNotify},
    RcptParameter{"ORCPT", readOrcpt},
};

// Walks through the parameters behind a path, each at most once.
template <class Table, class Read>
Checked readParameters(std::string_view text, const Table& table, Read read) {
  unsigned seen = 0;
  while (!text.empty()) {
    const auto parameter = readParameter(takeWord(text));
    if (!parameter) return badParameter("Malformed parameter");
    size_t index = 0;
    while (index < table.size() && !equalsIgnoringCase(table[index].keyword, parameter->keyword)) {
      ++index;
    }
    if (index == table.size()) return reject(555, {5, 5, 4}, "Parameter not recognized");
    if (seen & (1u << index)) return badParameter("Parameter given twice");
    seen |= 1u << index;
    if (const Checked read_one = read(table[index], *parameter); !read_one) return read_one;
  }
  return {};
}

// "FROM:" or "TO:" in front of the path. Spaces behind the colon are wrong but common.
bool takeKeyword(std::string_view& argument, std::string_view keyword) {
  if (argument.size() < keyword.size() ||
      !equalsIgnoringCase(argument.substr(0, keyword.size()), keyword)) {
    return false;
  }
  argument.remove_prefix(keyword.size());
  while (!argument.empty() && argument.front() == ' ') argument.remove_prefix(1);
  return true;
}

// What is behind the path: nothing, or spaces and parameters.
bool takeSpaces(std::string_view& text) {
  text = text.substr(0, text.find_last_not_of(" \t") + 1);
  if (text.empty()) return true;
  if (text.front() != ' ') return false;
  text.remove_prefix(text.find_first_not_of(' '));
  return true;
}

// RFC 6531 section 3.5.
tl::unexpected<Rejection> needsSmtpUtf8() {
  return reject(553, {5, 6, 7}, "Address with non-ASCII characters needs SMTPUTF8");
}

}  // namespace

Verb verbOf(std::string_view line, std::string_view& argument) {
  const size_t space = line.find(' ');
  const std::string_view word = line.substr(0, space);
  argument = space == std::string_view::npos ? std::string_view() : line.substr(space + 1);
  for (const VerbName& known : kVerbs) {
    if (equalsIgnoringCase(word, known.name)) return known.verb;
  }
  // A tab or space behind a command without argument is white space at its end.
  const std::string_view bare = trim(word);
  if (bare.size() < word.size()) {
    for (const VerbName& known : kVerbs) {
      if (equalsIgnoringCase(bare, known.name)) return known.verb;
    }
  }
  return Verb::Unknown;
}

size_t maxLineBytes(Verb verb) {
  switch (verb) {
    case Verb::Mail:  // SIZE 26, BODY 17, SMTPUTF8 10, RET and ENVID 120, AUTH 500, REQUIRETLS 11;
                      // room for UTF-8
    case Verb::Rcpt:  // NOTIFY 28, ORCPT 507; room for UTF-8
      return 2048;
    case Verb::Auth:
      return 12'288;  // RFC 4954 section 4
    default:
      return 512;  // RFC 5321 section 4.5.3.1.4
  }
}

Parsed<MailCommand> parseMail(std::string_view argument) {
  if (!takeKeyword(argument, "FROM:")) {
    return reject(501, {5, 5, 4}, "Syntax: MAIL FROM:<address>");
  }
  const auto path = takeReversePath(argument, true);
  if (!path) return reject(501, {5, 1, 7}, "Bad sender address: " + path.error().detail);
  if (!takeSpaces(argument)) return reject(501, {5, 1, 7}, "Bad sender address");
  MailCommand mail;
  mail.reverse_path = *path;
  const Checked read = readParameters(argument, kMailParameters,
                                      [&](const MailParameter& row, const Parameter& parameter) {
                                        return row.read(parameter, mail);
                                      });
  if (!read) return tl::unexpected<Rejection>(read.error());
  if (!mail.smtputf8 && !isAscii(mail.reverse_path.mailbox)) return needsSmtpUtf8();
  return mail;
}

Parsed<RcptCommand> parseRcpt(std::string_view argument, bool smtputf8) {
  if (!takeKeyword(argument, "TO:")) return reject(501, {5, 5, 4}, "Syntax: RCPT TO:<address>");
  const auto path = takeForwardPath(argument, true);
  if (!path) return reject(501, {5, 1, 3}, "Bad recipient address: " + path.error().detail);
  if (!takeSpaces(argument)) return reject(501, {5, 1, 3}, "Bad recipient address");
  if (!smtputf8 && !isAscii(path->mailbox)) return needsSmtpUtf8();
  RcptCommand rcpt;
  rcpt.forward_path = *path;
  const Checked read = readParameters(argument, kRcptParameters,
                                      [&](const RcptParameter& row, const Parameter& parameter) {
                                        return row.read(parameter, smtputf8, rcpt);
                                      });
  if (!read) return tl::unexpected<Rejection>(read.error());
  return rcpt;
}

Parsed<BdatCommand> parseBdat(std::string_view argument) {
  argument = trim(argument);
  const auto bytes = readNumber(takeWord(argument));
  if (!bytes) return badParameter("Syntax: BDAT octets [LAST]");
  if (argument.empty()) return BdatCommand{*bytes, false};
  if (!equalsIgnoringCase(argument, "LAST")) return badParameter("Syntax: BDAT octets [LAST]");
  return BdatCommand{*bytes, true};
}

Parsed<AuthCommand> parseAuth(std::string_view argument) {
  argument = trim(argument);
  AuthCommand auth;
  auth.mechanism = takeWord(argument);
  if (auth.mechanism.empty() || argument.find(' ') != std::string_view::npos) {
    return badParameter("Syntax: AUTH mechanism [initial-response]");
  }
  if (!argument.empty()) auth.initial_response = argument;
  return auth;
}

Parsed<std::string_view> parseHello(std::string_view argument) {
  argument = trim(argument);
  if (argument.empty()) return badParameter("A host name is needed");
  for (const char c : argument) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      return badParameter("Control characters in the host name");
    }
  }
  return argument;
}

}  // namespace sluice::smtp
