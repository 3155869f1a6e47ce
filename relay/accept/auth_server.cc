#include "relay/accept/auth_server.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <array>
#include <utility>

namespace sluice::relay {
namespace {

// Each hash takes 32 MiB and a core for a tenth of a second: two at a time leave the loops theirs.
constexpr size_t kThreads = 2;
constexpr size_t kMaxWaiting = 256;  // about 15 s of hashing

std::string stampOf(const std::string& path) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) return "none";
  return fmt::format("{} {} {} {}.{} {}.{}", status.st_dev, status.st_ino, status.st_size,
                     status.st_mtim.tv_sec, status.st_mtim.tv_nsec, status.st_ctim.tv_sec,
                     status.st_ctim.tv_nsec);
}

std::shared_ptr<const User> shared(const std::shared_ptr<const Users>& users, const User* user) {
  return user ? std::shared_ptr<const User>(users, user) : nullptr;
}

}  // namespace

AuthServer::AuthServer(EventLog& log, const Clock& clock)
    : log_(log), clock_(clock), pool_(kThreads, kMaxWaiting) {
  std::array<uint8_t, 32> key;
  net::randomBytes(key);
  known_key_ = net::asView(key);
}

// --- Users ---------------------------------------------------------------------------------------

void AuthServer::load(const std::string& users_file) {
  auto loaded = current(users_file, true);
  if (loaded.news) log_.log(std::move(*loaded.news));
}

// The users, read anew if the file changed. A file with mistakes leaves those who were there.
AuthServer::Loaded AuthServer::current(const std::string& path, bool whatever) {
  const std::lock_guard lock(files_mutex_);
  File& file = files_[path];
  std::string stamp = stampOf(path);
  const bool changed = stamp != file.stamp;
  if (!whatever && !changed) return {file.users, std::nullopt};
  const bool known = file.users != nullptr;
  file.stamp = std::move(stamp);
  LoadedUsers loaded = readUsers(path);
  if (loaded.users) {
    file.users = std::move(loaded.users);
    {
      const std::lock_guard known_lock(known_mutex_);
      known_.clear();
    }
    if (!changed || !known) return {file.users, std::nullopt};
    return {file.users,
            LogEvent{LogLevel::Info,
                     "users_loaded",
                     {{"file", path}, {"users", static_cast<int64_t>(file.users->all().size())}}}};
  }
  load_failures_.add();
  std::string reason;
  for (const ConfigMistake& mistake : loaded.mistakes) {
    reason += (reason.empty() ? "" : "\n") + mistake.toString();
  }
  return {file.users,
          LogEvent{LogLevel::Error, "users_failed", {{"file", path}, {"reason", reason}}}};
}

// --- Questions -----------------------------------------------------------------------------------

bool AuthServer::ask(net::Loop& loop, const AuthClaim& claim,
                     UniqueFunction<void(const SharedUsers&, Answer&)> work, Done done) {
  return pool_.run([this, &loop, path = claim.connector->users_file, name = claim.user,
                    work = std::move(work), done = std::move(done)]() mutable {
    Loaded loaded = current(path, false);
    Answer answer;
    if (loaded.users) {
      answer.ready = true;
      answer.user = shared(loaded.users, loaded.users->find(name));
      work(loaded.users, answer);
    }
    loop.post([this, news = std::move(loaded.news), answer = std::move(answer),
               done = std::move(done)]() mutable {
      if (news) log_.log(std::move(*news));
      done(std::move(answer));
    });
  });
}

bool AuthServer::check(net::Loop& loop, const AuthClaim& claim, std::string password, Done done) {
  auto work = [this, password = std::move(password)](const SharedUsers& users,
                                                     Answer& answer) mutable {
    const bool known = answer.user && answer.user->password;
    const bool right =
        known ? isRight(users, *answer.user, password) : matches(users->decoyPassword(), password);
    net::wipe(password);
    if (!known || !right) answer.user = nullptr;
  };
  return ask(loop, claim, std::move(work),
             [this, claim, done = std::move(done)](Answer answer) mutable {
               // Counted also if the client has left without waiting for the answer.
               if (answer.ready && !answer.user) failed(claim);
               if (answer.user) succeeded(claim);
               done(std::move(answer));
             });
}

bool AuthServer::isRight(const SharedUsers& users, const User& user, const std::string& password) {
  const net::Sha256Digest quick = net::hmacSha256(known_key_, password);
  {
    const std::lock_guard lock(known_mutex_);
    const auto known = known_.find(user.name);
    if (known != known_.end() && known->second.users == users &&
        net::constantTimeEqual(net::asView(known->second.password), net::asView(quick))) {
      return true;
    }
  }
  if (!matches(*user.password, password)) return false;
  const std::lock_guard lock(known_mutex_);
  known_.insert_or_assign(user.name, Known{users, quick});
  return true;
}

bool AuthServer::find(net::Loop& loop, const AuthClaim& claim, Done done) {
  auto work = [name = claim.user](const SharedUsers& users, Answer& answer) {
    const bool known = answer.user && answer.user->scram;
    answer.verifier = known ? *answer.user->scram : users->decoyScram(name);
    if (!known) answer.user = nullptr;
  };
  return ask(loop, claim, std::move(work), std::move(done));
}

// --- Failures ------------------------------------------------------------------------------------

std::string AuthServer::accountSubject(const AuthClaim& claim) {
  return claim.connector->users_file + '\0' + claim.user;
}

bool AuthServer::shutOut(const AuthClaim& claim) const {
  const SteadyTime now = clock_.steady();
  return clients_.shutOut(clientSubject(claim.client), now) ||
         (!claim.user.empty() && accounts_.shutOut(accountSubject(claim), now));
}

void AuthServer::failed(const AuthClaim& claim) {
  const AuthLockout& limits = claim.connector->auth_lockout;
  const SteadyTime now = clock_.steady();
  const auto say = [&](const char* event, std::optional<std::string> what) {
    LogEvent line{LogLevel::Warn,
                  event,
                  {{"connector", claim.connector->name},
                   {"address", claim.client.toString()},
                   {"user", claim.user},
                   {"mechanism", claim.mechanism}}};
    if (what) line.fields.emplace_back("locked_out", *what);
    log_.log(std::move(line));
  };
  const bool account = !claim.user.empty() && accounts_.failed(accountSubject(claim), limits, now);
  const bool client = clients_.failed(clientSubject(claim.client), limits, now);
  say("auth_failed", std::nullopt);
  if (account) say("auth_locked_out", "user");
  if (client) say("auth_locked_out", "client");
}

}  // namespace sluice::relay
