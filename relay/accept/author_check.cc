#include "relay/accept/author_check.h"

#include <algorithm>

#include "net/smtp/address_text.h"

namespace sluice::relay {
namespace {

// One mailbox after the other out of a list.
class AuthorReader {
 public:
  bool read(std::string_view from) {
    while (!from.empty()) {
      size_t bytes = 1;
      if (from.front() == '(') {
        bytes = smtp::commentBytes(from).value_or(0);
      } else if (from.front() == '"') {
        bytes = smtp::quotedBytes(from).value_or(0);
        text().append(from.substr(0, bytes));
      } else if (!onByte(from.front())) {
        return false;
      }
      if (bytes == 0) return false;
      from.remove_prefix(bytes);
    }
    return endMailbox() && !authors_.empty();
  }
  std::vector<std::string> take() { return std::move(authors_); }

 private:
  enum class At { Text, Angle, BehindAngle };

  std::string& text() { return at_ == At::Angle ? angle_ : text_; }

  bool onByte(char c) {
    if (c == ' ' || c == '\t') return true;
    if (c == '<') {
      text_.clear();  // that was the display name
      const bool first = at_ == At::Text;
      at_ = At::Angle;
      return first;
    }
    if (c == '>') {
      const bool in_angle = at_ == At::Angle;
      at_ = At::BehindAngle;
      return in_angle;
    }
    if (c == ',' || c == ';') return at_ != At::Angle && endMailbox();
    if (c == ':' && at_ == At::Text) {  // behind a group's name
      text_.clear();
      return true;
    }
    if (c == ':') return false;  // an obsolete route
    text().push_back(c);
    return true;
  }

  // An empty one is nothing: between two commas, in an empty group.
  bool endMailbox() {
    const bool angled = at_ == At::BehindAngle;
    std::string mailbox = angled ? std::move(angle_) : std::move(text_);
    const bool rest = angled && !text_.empty();
    const bool open = at_ == At::Angle;
    angle_.clear();
    text_.clear();
    at_ = At::Text;
    if (mailbox.empty() && !angled) return true;
    const size_t at = mailbox.rfind('@');
    if (open || rest || at == mailbox.npos || at == 0 || at + 1 == mailbox.size()) return false;
    authors_.push_back(std::move(mailbox));
    return true;
  }

  At at_ = At::Text;
  std::string text_;
  std::string angle_;
  std::vector<std::string> authors_;
};

}  // namespace

std::optional<std::vector<std::string>> authorsOf(std::string_view from) {
  AuthorReader reader;
  if (!reader.read(from)) return std::nullopt;
  return reader.take();
}

bool AuthorCheck::feed(std::string_view content) {
  if (!done_ && header_.feed(content)) finish();
  return done_;
}

void AuthorCheck::finish() {
  if (done_) return;
  done_ = true;
  header_.finish();
  allowed_ = judge();
}

// All authors of all From fields: readers differ in which of several they show.
bool AuthorCheck::judge() const {
  constexpr std::string_view kFrom = "from:";
  if (header_.overflowed()) return false;
  bool any = false;
  for (const HeaderFields::Field& field : header_.fields()) {
    std::string_view text = header_.text(field);
    if (!text.starts_with(kFrom)) continue;
    text.remove_prefix(kFrom.size());
    if (text.ends_with("\r\n")) text.remove_suffix(2);
    const auto authors = authorsOf(text);
    if (!authors) return false;
    any = true;
    if (!std::all_of(authors->begin(), authors->end(),
                     [&](const std::string& author) { return user_.mayWriteAs(author); })) {
      return false;
    }
  }
  return any;
}

}  // namespace sluice::relay
