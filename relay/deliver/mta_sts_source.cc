#include "relay/deliver/mta_sts_source.h"

#include <utility>
#include <vector>

#include "net/dns/dns_message.h"

namespace sluice::relay {

class MtaStsSource::Search final : public net::Lookup {
 public:
  Search(MtaStsSource& source, std::string domain, Done done)
      : source_(source), domain_(std::move(domain)), done_(std::move(done)) {}

  void start() {
    auto lookup = source_.resolver_.txt(
        "_mta-sts." + domain_,
        [this](Result<std::vector<std::string>> texts) { onRecord(std::move(texts)); });
    if (!asked_) lookup_ = std::move(lookup);
  }

 private:
  // Without an answer, or without a record, what is known already still counts.
  void onRecord(Result<std::vector<std::string>> texts) {
    asked_ = true;
    source_.policies_.ask(
        domain_, texts ? mtaStsId(*texts) : std::nullopt, source_.loop_,
        [this, alive = std::weak_ptr<char>(alive_)](std::shared_ptr<const DomainTlsPolicy> policy) {
          if (alive.expired()) return;
          Done done = std::move(done_);
          done(std::move(policy));  // may drop this
        });
  }

  MtaStsSource& source_;
  const std::string domain_;
  Done done_;
  bool asked_ = false;
  std::unique_ptr<net::Lookup> lookup_;
  std::shared_ptr<char> alive_ = std::make_shared<char>();
};

std::unique_ptr<net::Lookup> MtaStsSource::find(const std::string& domain, Done done) {
  // An address literal has no policy, nor has a domain whose policy host can have no name.
  if (!net::isHostName("_mta-sts." + domain)) {
    done(nullptr);
    return std::make_unique<Search>(*this, std::string(), nullptr);
  }
  auto search = std::make_unique<Search>(*this, domain, std::move(done));
  search->start();
  return search;
}

}  // namespace sluice::relay
