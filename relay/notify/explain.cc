#include "relay/notify/explain.h"

#include <array>
#include <optional>
#include <string>

#include "net/smtp/path.h"
#include "net/smtp/status_code.h"

namespace sluice::relay {
namespace {

constexpr size_t kMaxSearchedBytes = 2048;  // of a diagnostic: the wording that matters comes first

// Fits if all that is given fits. A class of 0 is any; `words` are alternatives between '|', of
// which the diagnostic must hold one, lower case.
struct Row {
  int code = 0;  // reply code, 0 = any
  uint8_t status_class = 0;
  int subject = -1;  // -1 = any
  int detail_first = -1;
  int detail_last = -1;
  std::string_view words;
  Explanation says;
};

constexpr Row onStatus(uint8_t status_class, int subject, int detail, Explanation says,
                       std::string_view words = {}) {
  return {0, status_class, subject, detail, detail, words, says};
}
constexpr Row onRange(int subject, int first, int last, Explanation says,
                      uint8_t status_class = 0) {
  return {0, status_class, subject, first, last, {}, says};
}
constexpr Row onWords(std::string_view words, Explanation says) {
  return {0, 0, -1, -1, -1, words, says};
}
constexpr Row onCode(int code, Explanation says, std::string_view words = {}) {
  return {code, 0, -1, -1, -1, words, says};
}

constexpr Explanation kNoMailbox{
    "There is no such mailbox at the destination.",
    "Check the address for typing mistakes and send your message again, or ask the recipient by "
    "other means for the right address."};
constexpr Explanation kMailboxFull{
    "The recipient's mailbox is full.",
    "Try again later, or tell the recipient by other means to make room."};
constexpr Explanation kTooLarge{
    "The message is larger than the destination takes.",
    "Send it again with smaller or fewer attachments, or share large files another way."};
constexpr Explanation kNoHost{
    "The domain of the address does not exist, or no mail server for it can be found.",
    "Check the part behind the @ for typing mistakes and send your message again."};
constexpr Explanation kNullMx{
    "The domain of the address says that it takes no mail at all.",
    "Check the part behind the @, or ask the recipient by other means for another address."};
constexpr Explanation kSpam{
    "The destination took the message for unwanted mail, or does not trust where it came from.",
    "Reword the message, leave out links and attachments, and try again; if that does not help, "
    "forward this report to your mail administrator."};
constexpr Explanation kBlockedAddress{
    "The destination refuses mail from this relay's network address (a block list or a bad "
    "reputation).",
    "Look the address up at the list that the answer names, remove the cause, and ask for removal "
    "from the list; check also that its PTR record and HELO name agree.",
    Helper::Administrator};
constexpr Explanation kBlockedByMicrosoft{
    "Microsoft 365 refuses mail from this relay's network address (its own block list).",
    "Remove what made it send unwanted mail, then ask for removal from the list at "
    "https://sender.office.com; it takes up to two days. Until then, send through another relay or "
    "address.",
    Helper::Administrator};
constexpr Explanation kUnauthenticatedDomain{
    "The destination could not verify that this relay may send mail for the sender's domain (SPF, "
    "DKIM or DMARC).",
    "Publish an SPF record that names this relay's address, sign with DKIM (a [[dkim]] entry for "
    "the From domain), and see `sluice doctor --from DOMAIN`.",
    Helper::Administrator};
constexpr Explanation kRelayDenied{
    "The next mail server does not take mail for this recipient from us.",
    "If the address is right, the route is not: check the send connector for this domain "
    "(address_spaces, smart_hosts), and whether the smart host wants username and password.",
    Helper::Administrator};
constexpr Explanation kSmartHostWantsLogin{
    "The next mail server wants this relay to log in first.",
    "Set username and password_file of the send connector, and tls = \"required\" so that the "
    "server offers authentication.",
    Helper::Administrator};
constexpr Explanation kBadCredentials{
    "The next mail server did not accept this relay's user name or password.",
    "Check username and password_file of the send connector; some providers want an application "
    "password instead of the account's own.",
    Helper::Administrator};
constexpr Explanation kBasicAuthOff{
    "The next mail server no longer takes user names with passwords (basic authentication).",
    "Set auth_mechanism = \"xoauth2\" of the send connector, or send through a connector that "
    "knows this relay by its certificate or address.",
    Helper::Administrator};
constexpr Explanation kTenantAttribution{
    "Microsoft 365 does not recognise this relay as one of its organisation's servers.",
    "In the Exchange admin centre, check the inbound connector: its certificate subject or its "
    "list "
    "of IP addresses must match this relay's, and the sender's domain must be an accepted domain.",
    Helper::Administrator};
constexpr Explanation kTlsWanted{"The next mail server wants an encrypted connection.",
                                 "Set tls = \"required\" of the send connector.",
                                 Helper::Administrator};
constexpr Explanation kTlsFailed{
    "No secure connection to the destination's mail server could be made, and the policy for this "
    "domain demands one.",
    "Ask the administrator to check the certificate of that server, and the tls setting here: "
    "`sluice doctor DOMAIN` shows both.",
    Helper::Administrator};
constexpr Explanation kDane{
    "The destination has published which key its mail server has (DANE), and the server that "
    "answers does not have it.",
    "Tell the postmaster of that domain, by other means: either its records are out of date, or "
    "somebody stands between. The message is held back rather than given to the wrong server.",
    Helper::Administrator};
constexpr Explanation kRequireTls{
    "The message demands transport encryption all the way, and the destination cannot promise it.",
    "Send it again without that demand, or by another way."};
constexpr Explanation kReverseDns{
    "The destination refuses this relay because its network address has no fitting name in the "
    "DNS.",
    "Make the PTR record of this relay's address and the A or AAAA record of its HELO name agree.",
    Helper::Administrator};
constexpr Explanation kThrottled{
    "The destination limits how much mail it takes from this relay at the moment.",
    "Nothing is wrong with the message. If it happens often, lower rate and max_connections for "
    "this destination.",
    Helper::Administrator};
constexpr Explanation kGreylisted{
    "The destination asks every sender it does not know yet to try again later (greylisting).", ""};
constexpr Explanation kLoop{
    "The message went in circles between mail servers and was stopped.",
    "The mail routing for this recipient is wrong: an MX record, a forwarding, or the smart host "
    "leads back here.",
    Helper::Administrator};
constexpr Explanation kUnreachable{
    "The destination's mail server could not be reached.",
    "If the address is right, its server or the network between is down: try again later, or reach "
    "the recipient by other means."};
constexpr Explanation kCannotConnect{
    "No connection to the destination's mail server could be made.",
    "If the address is right, that server or the network between is down: try again later, or "
    "reach the recipient by other means. If mail to every other domain fails like this, the "
    "network "
    "here may block port 25; a mail administrator can tell with `sluice doctor`."};
constexpr Explanation kDnsTrouble{
    "The name servers of the recipient's domain gave no usable answer.",
    "Check the part behind the @; if it is right, the fault is at that domain's name servers."};
constexpr Explanation kBroken{
    "The connection to the destination's mail server broke, or its answers made no sense.",
    "Try again later; if it happens again, forward this report to your mail administrator."};
constexpr Explanation kNoRoute{
    "There is no way to the recipient's domain from here.",
    "Check which send connector is meant to take this domain, and that its hosts do not lead to "
    "private addresses only.",
    Helper::Administrator};
constexpr Explanation kEightBit{
    "The message holds characters in a form (8-bit) that the destination's mail server cannot "
    "take.",
    "Send it again in plain text without special characters, or from a program that encodes "
    "them (quoted-printable or base64)."};
constexpr Explanation kSmtpUtf8{
    "The message uses international characters in addresses or header fields, and the "
    "destination's "
    "mail server cannot take these (SMTPUTF8).",
    "Send it again with addresses and a subject of plain letters, or ask the recipient for such an "
    "address."};
constexpr Explanation kBadSender{
    "The destination does not accept the sender's address.",
    "Check the address that your program sends from: its domain must exist and take mail."};
constexpr Explanation kBadAddress{"The destination says that the address is not written rightly.",
                                  "Check it for typing mistakes and send your message again."};
constexpr Explanation kMoved{
    "The mailbox has moved and the destination does not forward to the new place.",
    "Ask the recipient by other means for the new address."};
constexpr Explanation kDisabled{"The mailbox exists but takes no mail now.",
                                "Reach the recipient by other means."};
constexpr Explanation kNotAllowed{
    "You are not allowed to send mail to this recipient, or only members of a list may.",
    "Ask the recipient by other means to let your address in."};
constexpr Explanation kPolicy{
    "The destination refused the message by its rules.",
    "The answer below may say which rule. If it is not clear, forward this report to your mail "
    "administrator."};
constexpr Explanation kContent{"The destination refused the content of the message.",
                               "Check its form and its attachments, and send it again."};
constexpr Explanation kTooMany{
    "The message has more recipients than the destination takes at once.",
    "Send it to fewer recipients at a time."};
constexpr Explanation kSystemTrouble{"The destination's mail system has trouble of its own.",
                                     "Nothing is wrong with your message: try again later."};
constexpr Explanation kExpired{
    "The destination did not take the message in all the time it was tried.",
    "Try again later, or reach the recipient by other means."};
constexpr Explanation kByHand{"An administrator of this relay removed the message from the queue.",
                              "Ask the administrator for the reason.", Helper::Administrator};
constexpr Explanation kProtocol{"The two mail servers did not understand each other.",
                                "Forward this report to your mail administrator.",
                                Helper::Administrator};
constexpr Explanation kRefused{
    "The destination refused the message for good.",
    "The answer below may say why. If it is not clear, forward this report to your mail "
    "administrator."};
constexpr Explanation kLater{"The destination cannot take the message at the moment.", ""};

constexpr std::string_view kBlockListWords =
    "spamhaus|spamcop|barracudacentral|blocked using|block list|blocklist|blacklist|black list|"
    "dnsbl|banned sending ip|poor reputation|listed at ";

// Narrow rows before broad ones: exact codes with words, exact codes, wording alone, reply codes.
constexpr auto kRows = std::to_array<Row>({
    onWords("removed from the queue by an administrator", kByHand),
    // Configuration faults, which look like plain refusals to the sender.
    onStatus(0, 7, 64, kTenantAttribution),
    onWords("tenantattribution", kTenantAttribution),
    onStatus(0, 7, 57, kSmartHostWantsLogin),
    onStatus(0, 7, 30, kBasicAuthOff, "basic auth|authentication"),
    onWords(
        "basic authentication is disabled|basicauthclientloginsdisabled|smtpclientauthentication"
        " is disabled",
        kBasicAuthOff),
    onStatus(0, 7, 30, kRequireTls),
    onStatus(0, 7, 10, kTlsWanted, "starttls|encryption"),
    onStatus(0, 7, 10, kRequireTls),
    onStatus(0, 7, 11, kTlsWanted),
    onWords("must issue a starttls|starttls first|encryption required|tls required", kTlsWanted),
    onCode(535, kBadCredentials),
    onCode(534, kBadCredentials),
    onCode(538, kTlsWanted),
    onStatus(0, 7, 8, kBadCredentials),
    onStatus(0, 7, 9, kBadCredentials),
    onWords("authentication required|client was not authenticated|client not authenticated|"
            "must authenticate|smtp auth is required",
            kSmartHostWantsLogin),
    onCode(530, kSmartHostWantsLogin),
    onRange(7, 515, 515, kUnauthenticatedDomain),
    onRange(7, 20, 24, kUnauthenticatedDomain),  // RFC 7372
    onStatus(0, 7, 26, kUnauthenticatedDomain),
    onStatus(0, 7, 25, kReverseDns),
    onStatus(0, 7, 27, kBadSender),  // RFC 7505
    // Of Microsoft 365 (class 4: throttling; class 5: lists of its own).
    onRange(7, 500, 699, kThrottled, 4),
    onRange(7, 501, 503, kSpam, 5),
    onStatus(5, 7, 508, kThrottled),
    onStatus(5, 7, 509, kUnauthenticatedDomain),
    onStatus(5, 7, 511, kBlockedByMicrosoft),
    onRange(7, 606, 649, kBlockedByMicrosoft, 5),
    onStatus(5, 7, 708, kBlockedByMicrosoft),
    // What a greeting says while no connection is let in.
    onWords(kBlockListWords, kBlockedAddress),
    // Addresses.
    onStatus(0, 1, 10, kNullMx),
    onStatus(0, 1, 1, kRelayDenied, "relay"),
    onStatus(0, 1, 1, kNoMailbox),
    onStatus(0, 1, 2, kNoHost),
    onStatus(0, 1, 3, kBadAddress),
    onStatus(0, 1, 4, kBadAddress),
    onStatus(0, 1, 6, kMoved),
    onStatus(0, 1, 7, kBadSender),
    onStatus(0, 1, 8, kBadSender),
    // Mailboxes and systems.
    onStatus(0, 2, 1, kDisabled),
    onStatus(0, 2, 2, kMailboxFull),
    onStatus(0, 2, 3, kTooLarge),
    onStatus(0, 3, 4, kTooLarge),
    onStatus(0, 3, 2, kSystemTrouble),
    // Ways.
    onStatus(0, 4, 6, kLoop),
    onWords("too many hops|mail loop|routing loop|loops back to myself", kLoop),
    onStatus(4, 4, 7, kExpired),
    onStatus(5, 4, 7, kExpired),
    onStatus(5, 4, 1, kNoMailbox, "recipient address rejected"),  // Exchange: directory block
    onStatus(0, 4, 1, kCannotConnect, "connect to "),
    onStatus(0, 4, 1, kUnreachable),
    onStatus(0, 4, 2, kBroken),
    onStatus(0, 4, 3, kDnsTrouble),
    onStatus(0, 4, 4, kNoRoute),
    onStatus(4, 4, 5, kSystemTrouble),
    // Protocol and content.
    onStatus(0, 5, 3, kTooMany),
    onStatus(0, 6, 3, kEightBit),
    onStatus(0, 6, 7, kSmtpUtf8),
    onStatus(0, 6, 8, kSmtpUtf8),
    onStatus(0, 6, 9, kSmtpUtf8),
    // Security and policy, from the wording.
    onWords("greylist|graylist|grey-list|gray-list|postgrey", kGreylisted),
    onWords("dmarc|spf check|spf fail|sender policy framework|dkim|unauthenticated email",
            kUnauthenticatedDomain),
    onWords("reverse dns|ptr record|cannot find your hostname|cannot find your reverse",
            kReverseDns),
    onWords("relaying denied|relay access denied|relay not permitted|unable to relay|not permitted "
            "to relay|relaying not allowed",
            kRelayDenied),
    onWords("spam|unsolicited|junk mail|virus|malware", kSpam),
    onStatus(0, 7, 5, kDane, "dane|tlsa"),
    onStatus(0, 7, 4, kDane, "dane|tlsa"),
    onStatus(0, 7, 5, kTlsFailed),
    onStatus(0, 7, 4, kTlsFailed),
    onStatus(0, 7, 2, kNotAllowed),
    onWords("too many connections|rate limit|too many messages|throttl", kThrottled),
    onWords("user unknown|no such user|unknown user|does not exist|mailbox unavailable|recipient "
            "not found|no such mailbox|unknown recipient|invalid recipient|no mailbox here",
            kNoMailbox),
    onWords(
        "mailbox is full|mailbox full|quota exceeded|over quota|exceeded storage|out of storage",
        kMailboxFull),
    onWords("message too large|message size exceeds|exceeds size|message too big|exceeds fixed",
            kTooLarge),
    onWords("account disabled|account inactive|account has been disabled|mailbox disabled",
            kDisabled),
    onStatus(4, 7, 1, kLater),
    onStatus(5, 7, 1, kPolicy),
    onStatus(0, 7, 0, kPolicy),
    // Whole families.
    {0, 5, 1, -1, -1, {}, kNoMailbox},
    {0, 0, 3, -1, -1, {}, kSystemTrouble},
    {0, 0, 5, -1, -1, {}, kProtocol},
    {0, 0, 6, -1, -1, {}, kContent},
    // Reply codes of servers without enhanced codes.
    onCode(421, kLater),
    onCode(452, kSystemTrouble),
    onCode(521, kNullMx),  // RFC 7504
    onCode(556, kNullMx),
    onCode(550, kRefused),
    onCode(551, kMoved),
    onCode(552, kTooLarge),
    onCode(553, kBadAddress),
    onCode(500, kProtocol),
    onCode(501, kProtocol),
    onCode(502, kProtocol),
    onCode(503, kProtocol),
    onCode(504, kProtocol),
    {0, 4, -1, -1, -1, {}, kLater},
});

// What the table is searched by.
struct Facts {
  int code = 0;
  std::optional<smtp::EnhancedStatusCode> status;
  std::string words;
};

Facts factsOf(std::string_view status, std::string_view diagnostic) {
  Facts facts;
  std::string_view rest = diagnostic.substr(0, kMaxSearchedBytes);
  facts.words = smtp::toLowerAscii(rest);
  const auto digit = [&](size_t at) { return rest[at] >= '0' && rest[at] <= '9'; };
  if (rest.size() >= 3 && rest[0] >= '2' && rest[0] <= '5' && digit(1) && digit(2) &&
      (rest.size() == 3 || !digit(3))) {
    facts.code = (rest[0] - '0') * 100 + (rest[1] - '0') * 10 + (rest[2] - '0');
    rest.remove_prefix(rest.size() > 3 ? 4 : 3);
  }
  facts.status = smtp::parseStatusCode(status);
  if (!facts.status) facts.status = smtp::takeStatusCode(rest);
  return facts;
}

bool holdsOne(std::string_view text, std::string_view alternatives) {
  while (!alternatives.empty()) {
    const size_t bar = alternatives.find('|');
    if (text.find(alternatives.substr(0, bar)) != std::string_view::npos) return true;
    if (bar == std::string_view::npos) return false;
    alternatives.remove_prefix(bar + 1);
  }
  return false;
}

bool fits(const Row& row, const Facts& facts) {
  if (row.code != 0 && row.code != facts.code) return false;
  if (row.status_class != 0 || row.subject >= 0) {
    if (!facts.status) return false;
    if (row.status_class != 0 && row.status_class != facts.status->status_class) return false;
    if (row.subject >= 0 && row.subject != facts.status->subject) return false;
    if (row.detail_first >= 0 &&
        (facts.status->detail < row.detail_first || facts.status->detail > row.detail_last)) {
      return false;
    }
  }
  return row.words.empty() || holdsOne(facts.words, row.words);
}

}  // namespace

const Explanation& explain(std::string_view status, std::string_view diagnostic) {
  const Facts facts = factsOf(status, diagnostic);
  for (const Row& row : kRows) {
    if (fits(row, facts)) return row.says;
  }
  static constexpr Explanation kOtherwise = kRefused;
  static constexpr Explanation kOtherwiseLater = kLater;
  return facts.code >= 400 && facts.code < 500 ? kOtherwiseLater : kOtherwise;
}

}  // namespace sluice::relay
