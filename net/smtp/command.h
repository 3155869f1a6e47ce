// One command line of a client: its verb, its argument, its parameters, or the reply that says what
// is wrong with it.
//
// No I/O. Everything parsed views the line and is valid as long as it is. Verbs and keywords are
// compared as ASCII without case, whatever the locale. Forms: RFC 5321 section 4.1; SIZE RFC 1870,
// BODY RFC 6152, SMTPUTF8 RFC 6531, BDAT RFC 3030, RET ENVID NOTIFY ORCPT RFC 3461, AUTH RFC 4954,
// REQUIRETLS RFC 8689.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "net/smtp/path.h"
#include "net/smtp/status_code.h"

namespace sluice::smtp {

enum class Verb : uint8_t {
  Helo,
  Ehlo,
  Mail,
  Rcpt,
  Data,
  Bdat,
  Rset,
  Noop,
  Quit,
  Vrfy,
  Help,
  StartTls,
  Auth,
  XClient,
  NotImplemented,  // a command of SMTP's past or of others: 502
  Foreign,         // not SMTP at all, such as HTTP's GET: not worth a dialogue
  Unknown,
};

// The verb of a line without its line end; `argument` becomes what is behind the space.
Verb verbOf(std::string_view line, std::string_view& argument);

// How long a command line may be, with its CRLF: 512 octets and what extensions add to it.
size_t maxLineBytes(Verb verb);

// Why a command is refused. The text quotes nothing from outside.
struct Rejection {
  int code = 0;
  EnhancedStatusCode status;
  std::string text;
};
template <class T>
using Parsed = tl::expected<T, Rejection>;

enum class Body : uint8_t { SevenBit, EightBitMime };
enum class Ret : uint8_t { Unset, Full, Headers };

struct MailCommand {
  Path reverse_path;
  std::optional<uint64_t> size;
  std::optional<Body> body;
  bool smtputf8 = false;
  bool require_tls = false;
  Ret ret = Ret::Unset;
  std::string_view envid;                // still xtext; empty if none
  std::optional<std::string_view> auth;  // still xtext
};

struct RcptCommand {
  Path forward_path;
  bool notify_set = false;
  bool notify_never = false;
  bool notify_success = false;
  bool notify_failure = false;
  bool notify_delay = false;
  std::string_view orcpt;  // "rfc822;user@example.com", still xtext; empty if none
};

struct BdatCommand {
  uint64_t bytes = 0;
  bool last = false;
};

struct AuthCommand {
  std::string_view mechanism;
  std::optional<std::string_view> initial_response;  // base64 or "="
};

// Each takes the argument behind the verb.
Parsed<MailCommand> parseMail(std::string_view argument);
Parsed<RcptCommand> parseRcpt(std::string_view argument, bool smtputf8);
Parsed<BdatCommand> parseBdat(std::string_view argument);
Parsed<AuthCommand> parseAuth(std::string_view argument);
// Any name without control characters, as written.
Parsed<std::string_view> parseHello(std::string_view argument);

}  // namespace sluice::smtp
