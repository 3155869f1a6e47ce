// Which hosts take mail for a domain (RFC 5321 section 5.1)?
//
// One look-up; it may be destroyed at any time, also from within its callback.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "net/dns/address_lookup.h"
#include "net/dns/record_fetcher.h"
#include "net/dns/resolver.h"

namespace sluice::net {

class MxLookup final : public Lookup {
 public:
  using Done = UniqueFunction<void(Result<MxAnswer>)>;

  MxLookup(Loop& loop, RecordFetcher& fetcher, Duration longest, Done done);
  // Calls `done` at once if the cache knows; touches nothing after that.
  void start(const std::string& domain);

 private:
  void onMx(const RecordSet& set);
  void askForAddresses(const RecordSet& mx_set);
  void onAddresses(const Result<AddressAnswer>& answer);
  void finish(Result<MxAnswer> answer);

  Loop& loop_;
  RecordFetcher& fetcher_;
  Duration longest_;
  Done done_;
  std::string domain_;
  MxAnswer implicit_;
  std::unique_ptr<RecordFetcher::Waiter> waiter_;
  std::optional<AddressLookup> addresses_;  // of the domain itself, if it has no MX
  Deadline give_up_;
};

}  // namespace sluice::net
