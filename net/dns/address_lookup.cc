// Which addresses does a host have? Both families, in turn.
#include "net/dns/address_lookup.h"

#include <algorithm>

namespace sluice::net {
namespace {

using Outcome = RecordSet::Outcome;

bool is(const RecordSet* set, Outcome outcome) { return set != nullptr && set->outcome == outcome; }

// In turn, so that a limit on addresses cannot strand a host that one family does not reach.
std::vector<IpAddress> inTurn(const std::vector<IpAddress>& first,
                              const std::vector<IpAddress>& second) {
  std::vector<IpAddress> all;
  for (size_t i = 0; i < std::max(first.size(), second.size()); ++i) {
    if (i < first.size()) all.push_back(first[i]);
    if (i < second.size()) all.push_back(second[i]);
  }
  if (all.size() > kMaxAddresses) all.resize(kMaxAddresses);
  return all;
}

}  // namespace

AddressLookup::AddressLookup(Loop& loop, RecordFetcher& fetcher, Duration longest, Done done)
    : loop_(loop),
      fetcher_(fetcher),
      longest_(longest),
      done_(std::move(done)),
      give_up_([this] { finish(); }),
      other_family_([this] { finish(); }) {}

void AddressLookup::start(const std::string& host) {
  for (Family* family : {&v6_, &v4_}) {
    family->set = fetcher_.cached(host, family->type);
    if (family->set != nullptr) continue;
    family->waiter = fetcher_.fetch(
        host, family->type, [this, family](const SharedRecordSet& set) { onSet(*family, set); });
  }
  give_up_.arm(loop_.deadlines(), longest_);
  proceed();
}

void AddressLookup::onSet(Family& family, const SharedRecordSet& set) {
  family.set = set;
  proceed();
}

void AddressLookup::proceed() {
  if (v6_.set != nullptr && v4_.set != nullptr) return finish();
  const bool one_found = is(v6_.set.get(), Outcome::Found) || is(v4_.set.get(), Outcome::Found);
  if (one_found) other_family_.arm(loop_.deadlines(), kOtherFamilyWait);
}

void AddressLookup::finish() {
  give_up_.cancel();
  other_family_.cancel();
  v6_.waiter.reset();
  v4_.waiter.reset();
  Done done = std::move(done_);
  done(combineFamilies(v6_.set.get(), v4_.set.get(), loop_.now()));
}

Result<AddressAnswer> combineFamilies(const RecordSet* v6, const RecordSet* v4, SteadyTime now) {
  if (is(v6, Outcome::Found) || is(v4, Outcome::Found)) {
    AddressAnswer answer;
    static const std::vector<IpAddress> kNone;
    answer.addresses =
        inTurn(v6 != nullptr ? v6->addresses : kNone, v4 != nullptr ? v4->addresses : kNone);
    answer.secure = true;
    for (const RecordSet* set : {v4, v6}) {
      if (!is(set, Outcome::Found)) continue;
      answer.secure = answer.secure && set->authentic;
      answer.canonical = set->canonical;
    }
    answer.valid_until = std::min(v6 != nullptr ? v6->valid_until : now + kFailureTtl,
                                  v4 != nullptr ? v4->valid_until : now + kFailureTtl);
    return answer;
  }
  for (const RecordSet* set : {v4, v6}) {
    if (set == nullptr) return fail(Errc::DnsFailed, "no answer from the name servers in time");
    if (set->outcome == Outcome::Failed) return fail(Errc::DnsFailed, set->why);
  }
  if (is(v6, Outcome::NoDomain) || is(v4, Outcome::NoDomain)) {
    return fail(Errc::NoDomain, "the name does not exist");
  }
  return fail(Errc::NoData, "the name has no address");
}

}  // namespace sluice::net
