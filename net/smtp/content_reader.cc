// How content is read: clean runs in bulk, everything else a byte at a time, then the header
// section a line at a time.
#include "net/smtp/content_reader.h"

#include <optional>

#include "net/smtp/clean_run.h"
#include "net/smtp/path.h"

namespace sluice::smtp {
namespace {

// A longer field name than a line may have (RFC 5322 section 2.1.1) is none.
constexpr size_t kMaxFieldNameBytes = 998;

bool isFieldNameByte(char c) { return c > ' ' && c <= '~' && c != ':'; }

// Whether a first line begins like a header field (or is empty); nothing while it is too short.
std::optional<bool> beginsHeader(std::string_view line) {
  if (line.starts_with("\r\n")) return true;
  size_t at = 0;
  while (at < line.size() && isFieldNameByte(line[at])) ++at;
  if (at > kMaxFieldNameBytes) return false;
  const size_t name_bytes = at;
  while (at < line.size() && (line[at] == ' ' || line[at] == '\t')) ++at;  // RFC 5322 section 4.5
  if (at < line.size()) return name_bytes > 0 && line[at] == ':';
  if (name_bytes == 0 && at > 0) return false;
  if (at > kMaxFieldNameBytes) return false;
  return std::nullopt;
}

// Whether `line` is the field `name` (in lower case).
bool isField(std::string_view line, std::string_view name) {
  if (line.size() <= name.size() || !equalsIgnoringCase(line.substr(0, name.size()), name)) {
    return false;
  }
  line.remove_prefix(name.size());
  while (!line.empty() && (line.front() == ' ' || line.front() == '\t')) line.remove_prefix(1);
  return line.starts_with(':');
}

// RFC 8689 section 3. Only the beginning of a line that came in pieces is there, which is enough.
bool saysTlsOptional(std::string_view line) {
  if (!isField(line, "tls-required")) return false;
  std::string_view value = line.substr(line.find(':') + 1);
  constexpr std::string_view kBlanks = " \t\r\n";
  value.remove_prefix(std::min(value.find_first_not_of(kBlanks), value.size()));
  return equalsIgnoringCase(value.substr(0, value.find_last_not_of(kBlanks) + 1), "no");
}

}  // namespace

bool ContentReader::feed(std::string_view& input) {
  const bool dotted = form_ == ContentForm::Dotted;
  while (!input.empty() && at_ != At::End) {
    if (at_ == At::LineStart || at_ == At::Text) {
      const CleanRun run = cleanRun(input, dotted, at_ == At::LineStart);
      if (run.bytes > 0) {
        findings_.eight_bit |= run.eight_bit;
        at_ = input[run.bytes - 1] == '\n' ? At::LineStart : At::Text;
        emit(input.substr(0, run.bytes));
        input.remove_prefix(run.bytes);
        continue;
      }
    }
    feedByte(input.front());
    input.remove_prefix(1);
  }
  return at_ == At::End;
}

void ContentReader::feedByte(char c) {
  switch (at_) {
    case At::LineStart:
      if (c == '.' && form_ == ContentForm::Dotted) {
        at_ = At::Dot;
      } else {
        onText(c);
      }
      return;
    case At::Text:
      return onText(c);
    case At::Cr:
      if (c == '\n') {
        emit("\r\n");
        at_ = At::LineStart;
        return;
      }
      bareCr();
      return onText(c);
    case At::Dot:  // transparency (RFC 5321 section 4.5.2): the dot goes, unless the line is over
      if (c == '\r') {
        at_ = At::DotCr;
        return;
      }
      return onText(c);
    case At::DotCr:
      if (c == '\n') return end();
      bareCr();
      return onText(c);
    case At::End:
      return;
  }
}

void ContentReader::onText(char c) {
  at_ = At::Text;
  if (c == '\r') {
    at_ = At::Cr;
  } else if (c == '\n') {
    ++findings_.bare_newlines;
    emit("\r\n");
  } else if (c == '\0') {
    findings_.nul = true;
    muted_ = true;
  } else {
    findings_.eight_bit |= static_cast<unsigned char>(c) >= 0x80;
    emit({&c, 1});
  }
}

// A space, never a line end: that would mint header lines.
void ContentReader::bareCr() {
  ++findings_.bare_newlines;
  emit(" ");
}

void ContentReader::finishChunks() {
  if (at_ == At::Cr) bareCr();
  end();
}

void ContentReader::end() {
  at_ = At::End;
  if (!first_line_decided_) {
    first_line_decided_ = true;
    findings_.starts_with_body = !held_.empty();
    if (findings_.starts_with_body) endHeader();
    pass(held_);
  }
  if (in_header_) {
    if (line_bytes_ > 0) judgeLine({line_.data(), std::min(line_bytes_, line_.size())});
    findings_.ends_in_line = line_bytes_ > 0;
    endHeader();
  }
}

void ContentReader::emit(std::string_view piece) {
  if (!first_line_decided_ && !decideFirstLine(piece)) return;
  if (!in_header_) return pass(piece);
  scanHeader(piece);
}

// True when `piece` is to be passed on; false while the first line is held back, or once it was
// passed on from there together with the piece.
bool ContentReader::decideFirstLine(std::string_view piece) {
  if (!held_.empty()) {
    held_.append(piece);
    piece = held_;
  }
  const auto begins_header = beginsHeader(piece);
  if (!begins_header) {
    if (held_.empty()) held_.assign(piece);
    return false;
  }
  first_line_decided_ = true;
  findings_.starts_with_body = !*begins_header;
  if (findings_.starts_with_body) endHeader();
  if (held_.empty()) return true;
  const std::string held = std::move(held_);
  held_.clear();
  emit(held);
  return false;
}

void ContentReader::scanHeader(std::string_view piece) {
  size_t at = 0;
  while (at < piece.size()) {
    // CRLF always comes in one piece.
    if (line_bytes_ == 0 && piece.substr(at, 2) == "\r\n") {
      noteEightBit(piece.substr(0, at));
      pass(piece.substr(0, at));
      endHeader();
      return pass(piece.substr(at));
    }
    const size_t newline = piece.find('\n', at);
    const bool whole = newline != std::string_view::npos;
    const std::string_view part = piece.substr(at, whole ? newline + 1 - at : newline);
    at += part.size();
    if (whole && line_bytes_ == 0) {
      judgeLine(part);
      continue;
    }
    if (line_bytes_ < line_.size()) {
      part.copy(line_.data() + line_bytes_, line_.size() - line_bytes_);
    }
    line_bytes_ += part.size();
    if (!whole) continue;
    judgeLine({line_.data(), std::min(line_bytes_, line_.size())});
    line_bytes_ = 0;
  }
  noteEightBit(piece);
  pass(piece);
}

// RFC 6532: only a header section that is not ASCII makes a message internationalised.
void ContentReader::noteEightBit(std::string_view header) {
  if (findings_.eight_bit && !findings_.eight_bit_header) {
    findings_.eight_bit_header = !isAscii(header);
  }
}

void ContentReader::noteMessageId(std::string_view line) {
  const auto is_space = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
  while (!line.empty() && is_space(line.front())) line.remove_prefix(1);
  while (!line.empty() && is_space(line.back())) line.remove_suffix(1);
  seeks_message_id_ = line.empty();  // RFC 5322 section 2.2.3: folded behind the colon
  if (!line.empty() && !muted_) sink_.onMessageId(line);
}

void ContentReader::judgeLine(std::string_view line) {
  if (seeks_message_id_) {
    const bool folded = line[0] == ' ' || line[0] == '\t';
    seeks_message_id_ = false;
    if (folded) return noteMessageId(line);
  }
  switch (line[0] | 0x20) {
    case 'r':
      if (isField(line, "received")) ++findings_.received;
      return;
    case 'd':
      if (isField(line, "date")) findings_.has_date = true;
      return;
    case 'm':
      if (!isField(line, "message-id")) return;
      if (!findings_.has_message_id) noteMessageId(line.substr(line.find(':') + 1));
      findings_.has_message_id = true;
      return;
    case 't':
      if (saysTlsOptional(line)) findings_.tls_optional = true;
      return;
    default:
      return;
  }
}

void ContentReader::endHeader() {
  in_header_ = false;
  if (!muted_) sink_.onHeaderEnd(findings_);
}

void ContentReader::pass(std::string_view piece) {
  if (piece.empty()) return;
  findings_.bytes += piece.size();
  if (findings_.bytes > max_bytes_) {
    findings_.too_large = true;
    muted_ = true;
  }
  if (!muted_) sink_.onContent(piece);
}

}  // namespace sluice::smtp
