// Is this the user's password? Asked by sessions, answered off their loops.
//
// Keeps the users files as they were last good, looks whether they changed at each question, and
// counts failures by account and by client. One a relay; made before the loops run, stopped after
// them. A user who is not there takes as long as a wrong password. A password that was right is
// known again without the slow hash, by a quick one under a key of this process, as long as the
// users file stays: applications log in for each message.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "metrics/cells.h"
#include "net/loop.h"
#include "net/worker_pool.h"
#include "relay/accept/auth_failures.h"
#include "relay/config/users_file.h"
#include "relay/log/event_log.h"

namespace sluice::relay {

// Who asks to be let in, and where.
struct AuthClaim {
  std::string user;
  IpAddress client;
  std::string mechanism;  // for the log
  std::shared_ptr<const ReceiveConfig> connector;
};

class AuthServer {
 public:
  explicit AuthServer(EventLog& log, const Clock& clock = Clock::system());

  // What a question came to; `user` is null if nobody by that name and password is there.
  struct Answer {
    bool ready = false;  // the users file could be read
    std::shared_ptr<const User> user;
    sasl::ScramVerifier verifier;  // of find()
  };
  using Done = UniqueFunction<void(Answer)>;

  // The file as it is now, whatever it looks like from outside. Any thread; reads the disk.
  void load(const std::string& users_file);

  // On the loop of the one who asks; `done` comes on it, later. False: too many wait. check() has
  // counted a failure before `done`; after find(), the one who judges the proof calls failed().
  bool check(net::Loop& loop, const AuthClaim& claim, std::string password, Done done);
  bool find(net::Loop& loop, const AuthClaim& claim, Done done);

  // Whether the client, or the account once its name is known, has failed too often.
  bool shutOut(const AuthClaim& claim) const;
  void failed(const AuthClaim& claim);
  void succeeded(const AuthClaim& claim) { accounts_.forget(accountSubject(claim)); }

  void stop() { pool_.stop(); }
  const metrics::Counter& loadFailures() const { return load_failures_; }

 private:
  struct File {
    std::string stamp;  // what changes with the file
    std::shared_ptr<const Users> users;
  };
  struct Loaded {
    std::shared_ptr<const Users> users;
    std::optional<LogEvent> news;
  };

  static std::string accountSubject(const AuthClaim& claim);
  Loaded current(const std::string& path, bool whatever);
  using SharedUsers = std::shared_ptr<const Users>;
  bool ask(net::Loop& loop, const AuthClaim& claim,
           UniqueFunction<void(const SharedUsers&, Answer&)> work, Done done);
  bool isRight(const SharedUsers& users, const User& user, const std::string& password);

  EventLog& log_;
  const Clock& clock_;
  AuthFailures accounts_;
  AuthFailures clients_;
  std::mutex files_mutex_;
  std::map<std::string, File> files_;  // guarded by files_mutex_
  metrics::Counter load_failures_;     // written under files_mutex_
  struct Known {
    SharedUsers users;
    net::Sha256Digest password;
  };
  std::string known_key_;
  std::mutex known_mutex_;
  std::map<std::string, Known> known_;  // by user; guarded by known_mutex_
  net::WorkerPool pool_;
};

}  // namespace sluice::relay
