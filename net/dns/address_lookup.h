// Which addresses does a host have? Both families, in turn.
//
// One look-up; it may be destroyed at any time, also from within its callback.
#pragma once

#include <memory>
#include <string>

#include "net/dns/record_fetcher.h"
#include "net/dns/resolver.h"

namespace sluice::net {

class AddressLookup final : public Lookup {
 public:
  using Done = UniqueFunction<void(Result<AddressAnswer>)>;

  // One family's addresses wait this long for the other's answer, then go without.
  static constexpr std::chrono::milliseconds kOtherFamilyWait{1000};

  AddressLookup(Loop& loop, RecordFetcher& fetcher, Duration longest, Done done);
  // Calls `done` at once if the cache knows; touches nothing after that.
  void start(const std::string& host);

 private:
  struct Family {
    DnsType type;
    SharedRecordSet set;
    std::unique_ptr<RecordFetcher::Waiter> waiter;
  };
  void onSet(Family& family, const SharedRecordSet& set);
  void proceed();
  void finish();

  Loop& loop_;
  RecordFetcher& fetcher_;
  Duration longest_;
  Done done_;
  Family v6_{DnsType::Aaaa, nullptr, nullptr};
  Family v4_{DnsType::A, nullptr, nullptr};
  Deadline give_up_;
  Deadline other_family_;
};

// What both answers together say; a missing one counts as a failure that is not remembered.
Result<AddressAnswer> combineFamilies(const RecordSet* v6, const RecordSet* v4, SteadyTime now);

}  // namespace sluice::net
