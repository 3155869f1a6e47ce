// Which hosts take mail for a domain (RFC 5321 section 5.1)?
#include "net/dns/mx_lookup.h"

#include <algorithm>

namespace sluice::net {

MxLookup::MxLookup(Loop& loop, RecordFetcher& fetcher, Duration longest, Done done)
    : loop_(loop), fetcher_(fetcher), longest_(longest), done_(std::move(done)), give_up_([this] {
        finish(fail(Errc::DnsFailed, "no answer from the name servers in time"));
      }) {}

void MxLookup::start(const std::string& domain) {
  domain_ = domain;
  give_up_.arm(loop_.deadlines(), longest_);
  if (const SharedRecordSet known = fetcher_.cached(domain, DnsType::Mx)) return onMx(*known);
  waiter_ = fetcher_.fetch(domain, DnsType::Mx, [this](const SharedRecordSet& set) { onMx(*set); });
}

void MxLookup::onMx(const RecordSet& set) {
  switch (set.outcome) {
    case RecordSet::Outcome::Failed:
      return finish(fail(Errc::DnsFailed, set.why));
    case RecordSet::Outcome::NoDomain:
      return finish(fail(Errc::NoDomain, "the domain does not exist"));
    case RecordSet::Outcome::NoData:
      return askForAddresses(set);
    case RecordSet::Outcome::Found:
      break;
  }
  if (set.null_mx) return finish(fail(Errc::NullMx, "the domain takes no mail"));  // RFC 7505 §3
  finish(MxAnswer{.hosts = set.mx_hosts, .secure = set.authentic, .valid_until = set.valid_until});
}

// Without an MX record the domain is its own host, if it has an address. Only "no data" says so: a
// failed look-up must not turn the mail elsewhere.
void MxLookup::askForAddresses(const RecordSet& mx_set) {
  implicit_ = {.hosts = {{domain_, 0}},
               .implicit = true,
               .secure = mx_set.authentic,
               .valid_until = mx_set.valid_until};
  addresses_.emplace(loop_, fetcher_, longest_,
                     [this](const Result<AddressAnswer>& answer) { onAddresses(answer); });
  addresses_->start(domain_);
}

void MxLookup::onAddresses(const Result<AddressAnswer>& answer) {
  if (answer) {
    implicit_.secure = implicit_.secure && answer->secure;
    implicit_.valid_until = std::min(implicit_.valid_until, answer->valid_until);
    return finish(std::move(implicit_));
  }
  if (answer.error().code == Errc::DnsFailed) return finish(tl::unexpected(answer.error()));
  // The domain exists, or its MX would have been NXDOMAIN.
  finish(fail(Errc::NoData, "the domain has neither MX nor address"));
}

void MxLookup::finish(Result<MxAnswer> answer) {
  give_up_.cancel();
  waiter_.reset();
  Done done = std::move(done_);
  done(std::move(answer));
}

}  // namespace sluice::net
