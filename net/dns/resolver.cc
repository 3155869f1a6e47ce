// DNS for one shard: puts cache, fetches and transport together behind the face.
#include "net/dns/resolver.h"

#include <utility>

#include "net/dns/address_lookup.h"
#include "net/dns/dns_transport.h"
#include "net/dns/hosts_file.h"
#include "net/dns/mx_lookup.h"
#include "net/dns/record_fetcher.h"

namespace sluice::net {
namespace {

// Answers of the hosts file stand that long; delivery asks again now and then.
constexpr std::chrono::seconds kHostsFileTtl{60};

// A look-up that was answered at once.
class EndedLookup final : public Lookup {};

// A name that cannot be asked for cannot exist (RFC 1035 §2.3.4).
bool isDnsName(std::string_view name) {
  return encodeQuery(name, DnsType::A, 0, false).has_value();
}

Error errorOf(const RecordSet& set) {
  switch (set.outcome) {
    case RecordSet::Outcome::NoDomain:
      return {Errc::NoDomain, "the name does not exist"};
    case RecordSet::Outcome::NoData:
      return {Errc::NoData, "the name has no such record"};
    case RecordSet::Outcome::Failed:
      return {Errc::DnsFailed, set.why};
    case RecordSet::Outcome::Found:
      break;
  }
  return {Errc::DnsFailed, "no answer"};
}

// Records of one type, given on as they are.
template <class Answer>
class RecordLookup final : public Lookup {
 public:
  using Done = UniqueFunction<void(Result<Answer>)>;
  using Convert = Answer (*)(const RecordSet&);

  RecordLookup(Loop& loop, RecordFetcher& fetcher, Duration longest, Convert convert, Done done)
      : fetcher_(fetcher), convert_(convert), done_(std::move(done)), give_up_([this] {
          finish(fail(Errc::DnsFailed, "no answer from the name servers in time"));
        }) {
    give_up_.arm(loop.deadlines(), longest);
  }

  void start(const std::string& name, DnsType type) {
    if (const SharedRecordSet known = fetcher_.cached(name, type)) return onSet(*known);
    waiter_ = fetcher_.fetch(name, type, [this](const SharedRecordSet& set) { onSet(*set); });
  }

 private:
  void onSet(const RecordSet& set) {
    if (set.outcome != RecordSet::Outcome::Found) return finish(tl::unexpected(errorOf(set)));
    finish(convert_(set));
  }

  void finish(Result<Answer> answer) {
    give_up_.cancel();
    waiter_.reset();
    Done done = std::move(done_);
    done(std::move(answer));
  }

  RecordFetcher& fetcher_;
  Convert convert_;
  Done done_;
  std::unique_ptr<RecordFetcher::Waiter> waiter_;
  Deadline give_up_;
};

class CaresResolver final : public Resolver {
 public:
  CaresResolver(Loop& loop, std::unique_ptr<DnsTransport> transport, const ResolverOptions& options)
      : loop_(loop),
        hosts_path_(options.hosts_file),
        hosts_(HostsFile::read(hosts_path_)),
        transport_(std::move(transport)),
        fetcher_(loop, *transport_, options) {}

  std::unique_ptr<Lookup> mx(const std::string& domain,
                             UniqueFunction<void(Result<MxAnswer>)> done) override {
    if (!isDnsName(domain)) return refuseName(std::move(done));
    auto lookup =
        std::make_unique<MxLookup>(loop_, fetcher_, transport_->longest(), std::move(done));
    lookup->start(domain);
    return lookup;
  }

  std::unique_ptr<Lookup> addresses(const std::string& host,
                                    UniqueFunction<void(Result<AddressAnswer>)> done) override {
    if (!isDnsName(host)) return refuseName(std::move(done));
    auto lookup =
        std::make_unique<AddressLookup>(loop_, fetcher_, transport_->longest(), std::move(done));
    lookup->start(host);
    return lookup;
  }

  std::unique_ptr<Lookup> smartHostAddresses(
      const std::string& host, UniqueFunction<void(Result<AddressAnswer>)> done) override {
    AddressAnswer answer{.valid_until = loop_.now() + kHostsFileTtl};
    if (const auto literal = IpAddress::parse(host)) {
      answer.addresses = {*literal};
    } else if (const auto* known = hosts_.find(host)) {
      answer.addresses = *known;
      if (answer.addresses.size() > kMaxAddresses) answer.addresses.resize(kMaxAddresses);
    } else {
      return addresses(host, std::move(done));
    }
    done(std::move(answer));
    return std::make_unique<EndedLookup>();
  }

  std::unique_ptr<Lookup> txt(
      const std::string& name,
      UniqueFunction<void(Result<std::vector<std::string>>)> done) override {
    return records<std::vector<std::string>>(
        name, DnsType::Txt, [](const RecordSet& set) { return set.texts; }, std::move(done));
  }

  std::unique_ptr<Lookup> tlsa(const std::string& name,
                               UniqueFunction<void(Result<TlsaAnswer>)> done) override {
    return records<TlsaAnswer>(
        name, DnsType::Tlsa,
        [](const RecordSet& set) {
          return TlsaAnswer{
              .records = set.tlsa, .secure = set.authentic, .valid_until = set.valid_until};
        },
        std::move(done));
  }

  std::unique_ptr<Lookup> names(
      const IpAddress& address,
      UniqueFunction<void(Result<std::vector<std::string>>)> done) override {
    return records<std::vector<std::string>>(
        reverseName(address), DnsType::Ptr, [](const RecordSet& set) { return set.names; },
        std::move(done));
  }

  void flushCache() override {
    fetcher_.flush();
    hosts_ = HostsFile::read(hosts_path_);
    // Without a readable resolv.conf the servers of before are the best there is.
    static_cast<void>(transport_->readServers());
  }

 private:
  template <class Answer>
  std::unique_ptr<Lookup> refuseName(UniqueFunction<void(Result<Answer>)> done) {
    done(fail(Errc::NoDomain, "not a name that can exist in DNS"));
    return std::make_unique<EndedLookup>();
  }

  template <class Answer>
  std::unique_ptr<Lookup> records(const std::string& name, DnsType type,
                                  typename RecordLookup<Answer>::Convert convert,
                                  UniqueFunction<void(Result<Answer>)> done) {
    if (!isDnsName(name)) return refuseName(std::move(done));
    auto lookup = std::make_unique<RecordLookup<Answer>>(loop_, fetcher_, transport_->longest(),
                                                         convert, std::move(done));
    lookup->start(name, type);
    return lookup;
  }

  Loop& loop_;
  const std::string hosts_path_;
  HostsFile hosts_;
  std::unique_ptr<DnsTransport> transport_;
  RecordFetcher fetcher_;
};

}  // namespace

std::unique_ptr<Lookup> Resolver::names(
    const IpAddress& address, UniqueFunction<void(Result<std::vector<std::string>>)> done) {
  done(fail(Errc::NoData, "no names are known for " + address.toString()));
  return nullptr;
}

std::string reverseName(const IpAddress& address) {
  std::string name;
  const auto& bytes = address.bytes();
  if (address.isV4()) {
    for (size_t i = bytes.size(); i-- > 12;) name += std::to_string(bytes[i]) + ".";
    return name + "in-addr.arpa";
  }
  constexpr std::string_view kDigits = "0123456789abcdef";
  for (size_t i = bytes.size(); i-- > 0;) {
    for (const unsigned nibble : {bytes[i] & 15u, unsigned{bytes[i]} >> 4}) {
      name += kDigits[nibble];
      name += '.';
    }
  }
  return name + "ip6.arpa";
}

Result<std::unique_ptr<Resolver>> Resolver::create(Loop& loop, const ResolverOptions& options) {
  ASSIGN_OR_RETURN(auto transport, DnsTransport::create(loop, options));
  return std::make_unique<CaresResolver>(loop, std::move(transport), options);
}

}  // namespace sluice::net
