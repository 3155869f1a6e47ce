#include "relay/submit/mailbox_list.h"

#include <algorithm>

#include "net/smtp/address_text.h"

namespace sluice::relay {
namespace {

class List {
 public:
  std::vector<std::string> read(std::string_view rest) {
    while (!rest.empty() && found_.size() < kMaxListedMailboxes) {
      const char c = rest.front();
      size_t taken = 1;
      if (c == '(') {
        taken = smtp::commentBytes(rest).value_or(rest.size());
      } else if (c == '"') {
        taken = smtp::quotedBytes(rest).value_or(rest.size());
        word(rest.substr(0, taken));
      } else if (c == '<') {
        current_.clear();  // what came before was the display name
        in_angle_ = true;
      } else if (c == '>') {
        in_angle_ = false;
        had_angle_ = true;
      } else if (c == ':') {
        current_.clear();  // behind a group's name or a route
      } else if ((c == ',' && !in_angle_) || c == ';') {
        finish();
      } else if (c == ',') {
        current_.clear();  // between the hosts of a route
      } else if (c != ' ' && c != '\t' && c != '\r' && c != '\n') {
        word(rest.substr(0, 1));
      } else {
        spaced_ = !current_.empty();
      }
      rest.remove_prefix(taken);
    }
    finish();
    return std::move(found_);
  }

 private:
  void word(std::string_view bytes) {
    if (had_angle_) return;  // text behind the address
    // Words with a space between them are one local part only around '.' and '@'.
    const bool joins = !current_.empty() &&
                       (std::string_view(".@").find(current_.back()) != std::string_view::npos ||
                        bytes == "." || bytes == "@");
    if (spaced_ && !joins && !in_angle_) current_.clear();
    spaced_ = false;
    current_ += bytes;
  }
  void finish() {
    if (!current_.empty()) found_.push_back(std::move(current_));
    current_.clear();
    in_angle_ = had_angle_ = spaced_ = false;
  }

  std::vector<std::string> found_;
  std::string current_;
  bool in_angle_ = false;
  bool had_angle_ = false;
  bool spaced_ = false;
};

}  // namespace

std::vector<std::string> mailboxesIn(std::string_view value) { return List().read(value); }

}  // namespace sluice::relay
