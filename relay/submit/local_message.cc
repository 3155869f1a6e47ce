#include "relay/submit/local_message.h"

#include <algorithm>

#include "net/smtp/path.h"
#include "relay/submit/mailbox_list.h"

namespace sluice::relay {
namespace {

using smtp::equalsIgnoringCase;

struct Field {
  std::string_view name;
  std::string_view text;  // all of it, with its folded lines and ends
  std::string_view value() const { return text.substr(name.size() + 1); }
};

// Lines with CRLF, up to a dot alone if that ends the message.
std::string cleanLines(std::string_view text, bool dot_ends) {
  std::string out;
  out.reserve(text.size() + text.size() / 32 + 2);
  while (!text.empty()) {
    const size_t end = text.find_first_of("\r\n");
    const std::string_view line = text.substr(0, end);
    if (dot_ends && line == ".") break;
    out.append(line).append("\r\n");
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + (text.substr(end).starts_with("\r\n") ? 2 : 1));
  }
  return out;
}

bool isFieldName(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(),
                                      [](char c) { return c > ' ' && c < 0x7f && c != ':'; });
}

// The fields at the front; takes them, and the empty line behind them, off `text`. Stops at what is
// no field: that is body.
std::vector<Field> takeFields(std::string_view& text) {
  std::vector<Field> fields;
  while (!text.empty() && !text.starts_with("\r\n")) {
    const size_t colon = text.find(':');
    const size_t line_ends = text.find("\r\n") + 2;
    if (colon == std::string_view::npos || colon >= line_ends) return fields;
    std::string_view name = text.substr(0, colon);
    while (name.ends_with(' ') || name.ends_with('\t')) name.remove_suffix(1);
    if (!isFieldName(name) || name.size() != colon) return fields;
    size_t end = line_ends;
    while (end < text.size() && (text[end] == ' ' || text[end] == '\t')) {
      end = text.find("\r\n", end) + 2;
    }
    fields.push_back({name, text.substr(0, end)});
    text.remove_prefix(end);
  }
  if (!text.empty()) text.remove_prefix(2);
  return fields;
}

bool has(const std::vector<Field>& fields, std::string_view name) {
  return std::any_of(fields.begin(), fields.end(),
                     [name](const Field& field) { return equalsIgnoringCase(field.name, name); });
}

bool isOneOf(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::any_of(names.begin(), names.end(),
                     [name](std::string_view one) { return equalsIgnoringCase(name, one); });
}

// A phrase of a From field (RFC 5322 section 3.2.5), quoted where it must be.
std::string phraseOf(std::string_view name) {
  const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == ' ' || c == '-' || c == '_';
  });
  if (plain) return std::string(name);
  std::string out = "\"";
  for (const char c : name) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) >= ' ') out += c;
  }
  return out + "\"";
}

void addMissing(const std::vector<Field>& fields, const LocalMessageOptions& options,
                std::string& out) {
  if (!has(fields, "Date")) out += "Date: " + formatRfc5322(options.now) + "\r\n";
  if (!has(fields, "From") && !options.from.empty()) {
    out += options.full_name.empty()
               ? "From: " + options.from + "\r\n"
               : "From: " + phraseOf(options.full_name) + " <" + options.from + ">\r\n";
  }
  if (!has(fields, "Message-ID")) {
    out += "Message-ID: <" + options.unique + "@" + options.hostname + ">\r\n";
  }
}

}  // namespace

LocalMessage readLocalMessage(std::string_view text, const LocalMessageOptions& options) {
  if (text.starts_with("From ")) {  // of an mbox
    const size_t end = text.find('\n');
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  }
  const std::string clean = cleanLines(text, options.dot_ends);
  std::string_view body = clean;
  const std::vector<Field> fields = takeFields(body);
  const bool resent =
      has(fields, "Resent-To") || has(fields, "Resent-Cc") || has(fields, "Resent-Bcc");
  LocalMessage message;
  addMissing(fields, options, message.content);
  for (const Field& field : fields) {
    const bool names_recipients =
        resent ? isOneOf(field.name, {"Resent-To", "Resent-Cc", "Resent-Bcc"})
               : isOneOf(field.name, {"To", "Cc", "Bcc"});
    if (options.take_recipients && names_recipients) {
      for (std::string& mailbox : mailboxesIn(field.value())) {
        message.recipients.push_back(std::move(mailbox));
      }
    }
    if (options.take_recipients && isOneOf(field.name, {"Bcc", "Resent-Bcc"})) continue;
    message.content.append(field.text);
  }
  message.utf8_header = !smtp::isAscii(message.content);
  message.content.append("\r\n").append(body);
  message.eight_bit = !smtp::isAscii(message.content);
  return message;
}

}  // namespace sluice::relay
