#include "relay/config/users_file.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "net/sasl/plain.h"
#include "relay/config/file_checks.h"
#include "relay/config/units.h"

namespace sluice::relay {
namespace {

using net::asView;
using net::Sha256Digest;

constexpr size_t kMaxUsersFileBytes = 16 << 20;
constexpr size_t kSaltBytes = 16;
// A thief of the file tries PBKDF2 a hundred times faster than scrypt: as many iterations as a
// client can be asked for at each connection.
constexpr uint32_t kScramIterations = 100'000;
constexpr unsigned kMinLogCost = 10;
constexpr unsigned kMaxLogCost = 18;
constexpr unsigned kMaxBlockSize = 16;
constexpr unsigned kMaxParallel = 16;
constexpr std::string_view kBlanks = " \t";
constexpr std::string_view kScrypt = "scrypt$";
constexpr std::string_view kScram = "scram-sha-256$";
constexpr std::string_view kSenders = "senders=";
constexpr std::string_view kAuthors = "from=";
constexpr std::string_view kRate = "rate=";
constexpr std::string_view kQuota = "quota=";
constexpr unsigned kMaxQuota = 1'000'000'000;
constexpr std::string_view kMakeALine = "make the line with `sluice passwd`";

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool sameDomain(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  while (true) {
    const size_t end = text.find(at);
    parts.push_back(text.substr(0, end));
    if (end == text.npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::optional<unsigned> readNumber(std::string_view text, unsigned least, unsigned most) {
  unsigned number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number < least || number > most ? std::nullopt : std::optional(number);
}

bool readDigest(std::string_view text, Sha256Digest& digest) {
  const auto bytes = net::base64Decode(text);
  if (!bytes || bytes->size() != digest.size()) return false;
  std::copy(bytes->begin(), bytes->end(), digest.begin());
  return true;
}

std::optional<PasswordHash> readScrypt(std::string_view text) {
  const auto parts = split(text, '$');
  if (parts.size() != 5) return std::nullopt;
  const auto log_cost = readNumber(parts[0], kMinLogCost, kMaxLogCost);
  const auto block_size = readNumber(parts[1], 1, kMaxBlockSize);
  const auto parallel = readNumber(parts[2], 1, kMaxParallel);
  auto salt = net::base64Decode(parts[3]);
  if (!log_cost || !block_size || !parallel || !salt || salt->empty()) return std::nullopt;
  if ((size_t{128} * *block_size << *log_cost) >= net::kMaxScryptBytes) return std::nullopt;
  PasswordHash hash{*log_cost, *block_size, *parallel, std::move(*salt), {}};
  return readDigest(parts[4], hash.hash) ? std::optional(hash) : std::nullopt;
}

std::optional<sasl::ScramVerifier> readScram(std::string_view text) {
  const auto parts = split(text, '$');
  if (parts.size() != 4) return std::nullopt;
  const auto iterations =
      readNumber(parts[0], sasl::kMinScramIterations, sasl::kMaxScramIterations);
  auto salt = net::base64Decode(parts[1]);
  if (!iterations || !salt || salt->empty()) return std::nullopt;
  sasl::ScramVerifier verifier{std::move(*salt), *iterations, {}, {}};
  const bool good =
      readDigest(parts[2], verifier.stored_key) && readDigest(parts[3], verifier.server_key);
  return good ? std::optional(verifier) : std::nullopt;
}

// "ann@example.com", "@example.com" or "<>".
bool isSender(std::string_view text) {
  if (text == "<>") return true;
  const size_t at = text.rfind('@');
  return at != text.npos && at + 1 < text.size() && text.find_first_of("<>, \t") == text.npos;
}

bool isAuthor(std::string_view text) { return text != "<>" && isSender(text); }

// Whether `mailbox` is `allowed`, or of its domain if that begins with '@'.
bool isAllowed(std::string_view allowed, std::string_view mailbox) {
  const size_t at = std::min(mailbox.rfind('@'), mailbox.size());
  const size_t allowed_at = allowed.rfind('@');
  if (!sameDomain(allowed.substr(allowed_at), mailbox.substr(at))) return false;
  return allowed_at == 0 || allowed.substr(0, allowed_at) == mailbox.substr(0, at);
}

// Reads one line; reports each word that makes no sense.
class LineReader {
 public:
  LineReader(int line, Mistakes& mistakes) : line_(line), mistakes_(mistakes) {}

  std::optional<User> read(std::string_view text) {
    const size_t before = mistakes_.size();
    User user;
    for (size_t at = text.find_first_not_of(kBlanks); at != text.npos;
         at = text.find_first_not_of(kBlanks, at)) {
      const size_t end = std::min(text.find_first_of(kBlanks, at), text.size());
      readWord(text.substr(at, end - at), static_cast<int>(at) + 1, user);
      at = end;
    }
    if (mistakes_.size() == before && !user.password && !user.scram) {
      mistake(1, "\"" + user.name + "\" has no password: " + std::string(kMakeALine));
    }
    if (mistakes_.size() > before) return std::nullopt;
    return user;
  }

 private:
  // What a word holds may be a secret: mistakes do not quote it.
  void readWord(std::string_view word, int column, User& user) {
    if (user.name.empty()) {
      user.name = word;
      if (!sasl::isUserName(word)) mistake(column, "not a user name");
    } else if (word.starts_with(kScrypt)) {
      user.password = readScrypt(word.substr(kScrypt.size()));
      if (!user.password) mistake(column, "not a scrypt hash: " + std::string(kMakeALine));
    } else if (word.starts_with(kScram)) {
      user.scram = readScram(word.substr(kScram.size()));
      if (!user.scram) mistake(column, "not a SCRAM verifier: " + std::string(kMakeALine));
    } else if (word.starts_with(kSenders)) {
      readSenders(word.substr(kSenders.size()), column, user);
    } else if (word.starts_with(kAuthors)) {
      readAuthors(word.substr(kAuthors.size()), column, user);
    } else if (word.starts_with(kRate)) {
      const auto rate = parseRate(word.substr(kRate.size()));
      if (!rate || rate->count == 0) return mistake(column, "rate is a number and a time: 30/m");
      user.rate = *rate;
    } else if (word.starts_with(kQuota)) {
      const auto quota = readNumber(word.substr(kQuota.size()), 1, kMaxQuota);
      if (!quota) return mistake(column, "quota is a number of recipients a day");
      user.quota = *quota;
    } else {
      mistake(column, "expected scrypt$…, scram-sha-256$…, senders=…, from=…, rate=… or quota=…: " +
                          std::string(kMakeALine));
    }
  }

  void readSenders(std::string_view list, int column, User& user) {
    for (const std::string_view sender : split(list, ',')) {
      if (!isSender(sender)) {
        return mistake(column, "senders are mailboxes, \"@domain\" or \"<>\", with commas between");
      }
      user.senders.emplace_back(sender);
    }
  }

  void readAuthors(std::string_view list, int column, User& user) {
    for (const std::string_view author : split(list, ',')) {
      if (!isAuthor(author)) {
        return mistake(column, "from has mailboxes or \"@domain\", with commas between");
      }
      user.authors.emplace_back(author);
    }
  }

  void mistake(int column, const std::string& message) { mistakes_.add({line_, column}, message); }

  int line_;
  Mistakes& mistakes_;
};

Result<void> appendLimits(const UsersLineOptions& options, std::string& line) {
  for (size_t i = 0; i < options.authors.size(); ++i) {
    if (!isAuthor(options.authors[i])) {
      return fail(Errc::InvalidArgument, "an author is a mailbox or \"@domain\"");
    }
    line.append(i == 0 ? " from=" : ",").append(options.authors[i]);
  }
  if (!options.rate.empty()) {
    ASSIGN_OR_RETURN(const Rate rate, parseRate(options.rate));
    if (rate.count == 0) return fail(Errc::InvalidArgument, "a rate is above 0");
    line.append(" rate=").append(formatRate(rate));
  }
  if (options.quota > kMaxQuota) return fail(Errc::InvalidArgument, "the quota is too large");
  if (options.quota > 0) line.append(" quota=").append(std::to_string(options.quota));
  return {};
}

}  // namespace

// --- What is in it -------------------------------------------------------------------------------

bool User::maySend(std::string_view reverse_path) const {
  if (senders.empty()) return true;
  return std::any_of(senders.begin(), senders.end(), [&](const std::string& sender) {
    if (sender == "<>" || reverse_path.empty()) return sender == "<>" && reverse_path.empty();
    return isAllowed(sender, reverse_path);
  });
}

bool User::mayWriteAs(std::string_view mailbox) const {
  return authors.empty() ||
         std::any_of(authors.begin(), authors.end(),
                     [&](const std::string& author) { return isAllowed(author, mailbox); });
}

Users::Users(std::vector<User> users) : users_(std::move(users)) {
  for (size_t i = 0; i < users_.size(); ++i) by_name_.emplace(users_[i].name, i);
}

const User* Users::find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &users_[found->second];
}

PasswordHash Users::decoyPassword() const {
  PasswordHash decoy;
  for (const User& user : users_) {
    if (!user.password) continue;
    decoy = *user.password;
    break;
  }
  decoy.salt.resize(kSaltBytes);
  decoy.hash = {};
  return decoy;
}

// The salt comes from a secret of the file's, so that it stays while the file does: of a hash whose
// salt nobody is told, its owner included.
sasl::ScramVerifier Users::decoyScram(std::string_view name) const {
  sasl::ScramVerifier decoy{std::string(kSaltBytes, '\0'), kScramIterations, {}, {}};
  std::string secret;
  for (const User& user : users_) {
    if (!user.scram) continue;
    decoy.iterations = user.scram->iterations;
    decoy.salt.resize(user.scram->salt.size());
    secret = asView(user.password ? user.password->hash : user.scram->server_key);
    break;
  }
  const Sha256Digest salt = net::hmacSha256(secret, std::string("salt of ").append(name));
  decoy.salt = asView(salt).substr(0, decoy.salt.size());
  net::randomBytes(decoy.stored_key);
  net::randomBytes(decoy.server_key);
  return decoy;
}

bool matches(const PasswordHash& hash, std::string_view password) {
  const auto made = net::scrypt(password, hash.salt, uint64_t{1} << hash.log_cost, hash.block_size,
                                hash.parallel);
  return made && net::constantTimeEqual(asView(*made), asView(hash.hash));
}

// --- Reading -------------------------------------------------------------------------------------

LoadedUsers parseUsers(std::string_view text, const std::string& file_name) {
  Mistakes mistakes(file_name);
  std::vector<User> users;
  std::unordered_map<std::string, int> lines;
  int number = 0;
  while (!text.empty()) {
    ++number;
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    const size_t first = line.find_first_not_of(kBlanks);
    if (first == line.npos || line[first] == '#') continue;
    auto user = LineReader(number, mistakes).read(line);
    if (!user) continue;
    const auto [earlier, is_new] = lines.emplace(user->name, number);
    if (is_new) {
      users.push_back(std::move(*user));
    } else {
      mistakes.add(
          {number, static_cast<int>(first) + 1},
          "\"" + user->name + "\" is in line " + std::to_string(earlier->second) + ", too");
    }
  }
  if (users.empty() && mistakes.empty()) {
    mistakes.add({1, 1}, "holds no user: " + std::string(kMakeALine));
  }
  if (!mistakes.empty()) return {nullptr, mistakes.take()};
  return {std::make_shared<const Users>(std::move(users)), {}};
}

LoadedUsers readUsers(const std::string& path) {
  if (const auto why = whyUnusable(path, FileKind::Secret)) {
    return {nullptr, {{path, 0, 0, *why}}};
  }
  const auto text = readWholeFile(path, kMaxUsersFileBytes);
  if (!text) return {nullptr, {{path, 0, 0, text.error().detail}}};
  return parseUsers(*text, path);
}

// --- Writing -------------------------------------------------------------------------------------

Result<std::string> usersLine(std::string_view name, std::string_view password,
                              const UsersLineOptions& options) {
  if (!sasl::isUserName(name) || name.find_first_of(kBlanks) != name.npos ||
      name.starts_with('#')) {
    return fail(Errc::InvalidArgument, "a user name has no blanks and no control characters");
  }
  if (!sasl::isPassword(password)) {
    return fail(Errc::InvalidArgument, "a password has 1 to " +
                                           std::to_string(sasl::kMaxPasswordBytes) +
                                           " bytes and no control characters");
  }
  std::array<uint8_t, kSaltBytes> salt;
  net::randomBytes(salt);
  const PasswordHash form;
  ASSIGN_OR_RETURN(const Sha256Digest hash,
                   net::scrypt(password, asView(salt), uint64_t{1} << form.log_cost,
                               form.block_size, form.parallel));
  std::string line(name);
  line.append(" ").append(kScrypt).append(std::to_string(form.log_cost)).append("$");
  line.append(std::to_string(form.block_size)).append("$").append(std::to_string(form.parallel));
  line.append("$" + net::base64Encode(asView(salt)) + "$" + net::base64Encode(asView(hash)));
  if (options.scram) {
    net::randomBytes(salt);
    ASSIGN_OR_RETURN(const auto keys,
                     sasl::deriveScramKeys(password, asView(salt), kScramIterations));
    const auto verifier = sasl::scramVerifier(keys, std::string(asView(salt)), kScramIterations);
    line.append(" ").append(kScram).append(std::to_string(kScramIterations));
    line.append("$" + net::base64Encode(verifier.salt));
    line.append("$" + net::base64Encode(asView(verifier.stored_key)));
    line.append("$" + net::base64Encode(asView(verifier.server_key)));
  }
  for (size_t i = 0; i < options.senders.size(); ++i) {
    if (!isSender(options.senders[i])) {
      return fail(Errc::InvalidArgument, "a sender is a mailbox, \"@domain\" or \"<>\"");
    }
    line.append(i == 0 ? " senders=" : ",").append(options.senders[i]);
  }
  RETURN_IF_ERROR(appendLimits(options, line));
  return line;
}

}  // namespace sluice::relay
