// How much has each user sent, and may there be more? Rates and daily quotas of the users file,
// over all shards and connectors.
//
// Any thread. The lock is taken only for users that have a limit. A quota is for recipients, as
// hosted services count, and for a day of UTC; what is used of it outlives a restart by usage() and
// restore(). A user of one name is one user, whichever file names it.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "net/base/clock.h"
#include "relay/config/users_file.h"

namespace sluice::relay {

class UserLimits {
 public:
  explicit UserLimits(const Clock& clock = Clock::system()) : clock_(clock) {}

  // Takes one message from the user's rate; false if there is none left now. What was not used is
  // kept up to one period's worth.
  bool takeMessage(const User& user);

  // Recipients of one transaction, given back when it is destroyed unless they were spent.
  class Hold {
   public:
    Hold(UserLimits& limits, const User& user) : limits_(limits), user_(user.name) {}
    ~Hold();
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;
    // One recipient more; false if the quota has none left today.
    bool add(uint64_t quota);
    void spend() { recipients_ = 0; }

   private:
    UserLimits& limits_;
    const std::string user_;
    int64_t day_ = 0;
    uint64_t recipients_ = 0;
  };

  // What changed since it was last asked, to be kept: user and "day used".
  std::vector<std::pair<std::string, std::string>> usage();
  // What was kept. Nonsense, and other days, are passed over; true if `value` is still of use.
  bool restore(const std::string& user, const std::string& value);

 private:
  struct Account {
    double messages = 0;  // that may be sent at once
    SteadyTime filled{};
    bool begun = false;
    int64_t day = 0;
    uint64_t recipients = 0;  // of that day
    bool changed = false;
  };

  int64_t today() const;
  bool takeRecipient(const std::string& user, uint64_t quota, int64_t& day);
  void giveBack(const std::string& user, int64_t day, uint64_t recipients);

  const Clock& clock_;
  std::mutex mutex_;
  std::map<std::string, Account> accounts_;  // guarded by mutex_
};

}  // namespace sluice::relay
