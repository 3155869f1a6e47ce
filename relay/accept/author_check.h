// Whose names does a message bear in From, and may the user that sends it write as them?
//
// Reads the content as it streams by, to the end of its header section. One a message, of a user
// that is held to authors; no I/O. The content is hostile: what could be read in two ways is
// refused.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "relay/config/users_file.h"
#include "relay/sign/header_fields.h"

namespace sluice::relay {

// Every mailbox in the value of a From field (RFC 5322 section 3.4: also groups, comments and
// quoted strings); nothing if it has none, or is not of the form.
std::optional<std::vector<std::string>> authorsOf(std::string_view from);

class AuthorCheck {
 public:
  // `user` must live as long.
  explicit AuthorCheck(const User& user) : user_(user) {}

  // Content, from its first byte. True once the header section is whole, and the verdict known.
  bool feed(std::string_view content);
  void finish();  // the content ended
  bool allowed() const { return allowed_; }

 private:
  bool judge() const;

  const User& user_;
  HeaderFields header_;
  bool done_ = false;
  bool allowed_ = false;
};

}  // namespace sluice::relay
