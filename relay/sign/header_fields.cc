#include "relay/sign/header_fields.h"

#include <algorithm>

namespace sluice::relay {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }
bool isWhite(char c) { return c == ' ' || c == '\t'; }

size_t wordBytes(std::string_view text) {
  return std::min(text.size(), text.find_first_of(" \t\r\n"));
}

}  // namespace

// RFC 6376 section 5.4.1, with what readers look at (RFC 8058 wants List-Unsubscribe and
// List-Unsubscribe-Post covered). Not: trace fields, Return-Path, Bcc and others that are changed
// on the way.
const std::vector<CoveredField>& HeaderFields::covered() {
  static const std::vector<CoveredField> fields{
      {"from", Cover::Always},
      {"reply-to", Cover::Always},
      {"to", Cover::Always},
      {"cc", Cover::Always},
      {"subject", Cover::Always},
      {"sender", Cover::IfPresent},
      {"date", Cover::IfPresent},
      {"message-id", Cover::IfPresent},
      {"in-reply-to", Cover::IfPresent},
      {"references", Cover::IfPresent},
      {"mime-version", Cover::IfPresent},
      {"content-type", Cover::IfPresent},
      {"content-transfer-encoding", Cover::IfPresent},
      {"content-disposition", Cover::IfPresent},
      {"resent-date", Cover::AsIs},
      {"resent-from", Cover::AsIs},
      {"resent-sender", Cover::AsIs},
      {"resent-to", Cover::AsIs},
      {"resent-cc", Cover::AsIs},
      {"resent-message-id", Cover::AsIs},
      {"list-id", Cover::AsIs},
      {"list-help", Cover::AsIs},
      {"list-unsubscribe", Cover::AsIs},
      {"list-unsubscribe-post", Cover::AsIs},
      {"list-subscribe", Cover::AsIs},
      {"list-post", Cover::AsIs},
      {"list-owner", Cover::AsIs},
      {"list-archive", Cover::AsIs},
      {"feedback-id", Cover::AsIs},
  };
  return fields;
}

bool HeaderFields::feed(std::string_view& content) {
  while (!content.empty()) {
    const char c = content.front();
    switch (at_) {
      case At::LineStart:
        beginLine(c);
        continue;  // the byte is not taken yet
      case At::EmptyLine:
        content.remove_prefix(1);
        if (c == '\n') return true;
        if (c != '\r') at_ = At::Skip;
        break;
      case At::Name:
      case At::BehindName:
        onName(c);
        content.remove_prefix(1);
        break;
      case At::Value:
        takeValue(content);
        break;
      case At::Skip: {
        const size_t end = content.find('\n');
        if (end != std::string_view::npos) at_ = At::LineStart;
        content.remove_prefix(end == std::string_view::npos ? content.size() : end + 1);
        break;
      }
    }
  }
  return false;
}

// A line goes on with the field before it, is empty, or begins another field.
void HeaderFields::beginLine(char c) {
  if (isWhite(c)) {
    at_ = kept_ ? At::Value : At::Skip;
    return;
  }
  endField();
  name_bytes_ = 0;
  at_ = c == '\r' || c == '\n' ? At::EmptyLine : At::Name;
}

void HeaderFields::onName(char c) {
  if (c == '\n') {  // no field at all
    at_ = At::LineStart;
  } else if (c == ':') {
    beginValue();
  } else if (isWhite(c)) {  // RFC 5322 section 4.5: obsolete, and to be ignored
    at_ = At::BehindName;
  } else if (at_ == At::BehindName || name_bytes_ == name_.size()) {
    at_ = At::Skip;
  } else {
    name_[name_bytes_++] = lower(c);
  }
}

void HeaderFields::beginValue() {
  at_ = At::Skip;
  const std::string_view name(name_.data(), name_bytes_);
  const auto found = std::find_if(covered().begin(), covered().end(),
                                  [name](const CoveredField& field) { return field.name == name; });
  if (found == covered().end() || overflowed_) return;
  if (fields_.size() == kMaxFields) {
    overflowed_ = true;
    return;
  }
  at_ = At::Value;
  kept_ = true;
  space_owed_ = cr_owed_ = false;
  fields_.push_back({static_cast<uint8_t>(found - covered().begin()), text_.size(), 0});
  append(name);
  append(":");
}

void HeaderFields::takeValue(std::string_view& content) {
  const std::string_view word = content.substr(0, wordBytes(content));
  if (!word.empty()) {
    const bool first = text_.size() == fields_.back().begin + name_bytes_ + 1;
    if (space_owed_ && !first) append(" ");
    if (cr_owed_) append("\r");
    space_owed_ = cr_owed_ = false;
    append(word);
    content.remove_prefix(word.size());
    return;
  }
  const char c = content.front();
  content.remove_prefix(1);
  if (c == '\n') {
    at_ = At::LineStart;
    cr_owed_ = false;
  } else if (c == '\r') {
    cr_owed_ = true;
  } else {
    space_owed_ = true;
  }
}

void HeaderFields::append(std::string_view bytes) {
  if (text_.size() + bytes.size() > kMaxBytes) {
    overflowed_ = true;
    return;
  }
  text_.append(bytes);
}

void HeaderFields::endField() {
  if (!kept_) return;
  kept_ = false;
  append("\r\n");
  fields_.back().bytes = text_.size() - fields_.back().begin;
}

void HeaderFields::finish() { endField(); }

std::string_view HeaderFields::from() const {
  std::string_view from;
  for (const Field& field : fields_) {
    if (field.covered != 0) continue;
    if (!from.empty()) return {};
    from = text(field);
  }
  if (from.empty()) return {};
  from.remove_prefix(covered().front().name.size() + 1);
  from.remove_suffix(2);
  return from;
}

}  // namespace sluice::relay
