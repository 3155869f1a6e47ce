// The users of a receive connector: who may authenticate, by what, and as which senders.
//
// One user a line: a name, one or both verifiers of the password, and perhaps what it is held to:
// reverse-paths, authors (in From), messages in a time, recipients in a day:
//
//   ann  scrypt$15$8$1$SALT$HASH  scram-sha-256$100000$SALT$KEY$KEY  senders=ann@example.com,@x.org
//        from=@example.com rate=30/m quota=5000        (all in one line)
//
// Blank lines and lines that begin with '#' are passed over. `sluice passwd` writes such lines. No
// password can be had from them but by trying. Any thread; hashPassword() and matches() are slow on
// purpose: never on a loop.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "net/sasl/scram_sha_256.h"
#include "relay/config/config.h"
#include "relay/config/mistakes.h"

namespace sluice::relay {

// scrypt (RFC 7914): for PLAIN and LOGIN, which show us the password.
struct PasswordHash {
  unsigned log_cost = 15;  // 32 MiB with a block size of 8
  unsigned block_size = 8;
  unsigned parallel = 1;
  std::string salt;
  net::Sha256Digest hash{};
};

struct User {
  std::string name;
  std::optional<PasswordHash> password;
  std::optional<sasl::ScramVerifier> scram;
  std::vector<std::string> senders;  // "ann@example.com", "@example.com", "<>"; empty: any
  std::vector<std::string> authors;  // the same without "<>", of From; empty: any
  Rate rate;                         // messages
  uint64_t quota = 0;                // recipients a day of UTC; 0: no limit

  // May mail of this reverse-path (empty for <>) come from it?
  bool maySend(std::string_view reverse_path) const;
  // May mail whose From names this mailbox?
  bool mayWriteAs(std::string_view mailbox) const;
};

class Users {
 public:
  // In the order of the file; names are each there once.
  explicit Users(std::vector<User> users);
  const User* find(std::string_view name) const;
  const std::vector<User>& all() const { return users_; }
  // What a user who is not there is answered by: looks like those who are, for the same name always
  // alike, and is never right.
  PasswordHash decoyPassword() const;
  sasl::ScramVerifier decoyScram(std::string_view name) const;

 private:
  std::vector<User> users_;
  std::unordered_map<std::string_view, size_t> by_name_;
};

struct LoadedUsers {
  std::shared_ptr<const Users> users;  // null if there are mistakes
  std::vector<ConfigMistake> mistakes;
};

LoadedUsers parseUsers(std::string_view text, const std::string& file_name);
// A file that cannot be read, or that others can read, is a mistake, too.
LoadedUsers readUsers(const std::string& path);

bool matches(const PasswordHash& hash, std::string_view password);

struct UsersLineOptions {
  bool scram = true;
  std::vector<std::string> senders;
  std::vector<std::string> authors;
  std::string rate;    // "30/m"; empty: no limit
  uint64_t quota = 0;  // 0: no limit
};
// Errors: InvalidArgument (the name, the password or one of the options cannot be).
Result<std::string> usersLine(std::string_view name, std::string_view password,
                              const UsersLineOptions& options);

}  // namespace sluice::relay
