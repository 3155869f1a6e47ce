#include "relay/doctor/name_service.h"

#include <optional>
#include <utility>

namespace sluice::relay {
namespace {

class ResolverNameService final : public NameService {
 public:
  ResolverNameService(net::Loop& loop, std::unique_ptr<net::Resolver> resolver)
      : loop_(loop), resolver_(std::move(resolver)) {}

  Result<std::vector<std::string>> txt(const std::string& name) override {
    return wait<std::vector<std::string>>(
        [&](auto done) { return resolver_->txt(name, std::move(done)); });
  }
  Result<net::MxAnswer> mx(const std::string& domain) override {
    return wait<net::MxAnswer>([&](auto done) { return resolver_->mx(domain, std::move(done)); });
  }
  Result<net::AddressAnswer> addresses(const std::string& host) override {
    return wait<net::AddressAnswer>(
        [&](auto done) { return resolver_->addresses(host, std::move(done)); });
  }
  Result<net::AddressAnswer> smartHostAddresses(const std::string& host) override {
    return wait<net::AddressAnswer>(
        [&](auto done) { return resolver_->smartHostAddresses(host, std::move(done)); });
  }
  Result<std::vector<std::string>> names(const IpAddress& address) override {
    return wait<std::vector<std::string>>(
        [&](auto done) { return resolver_->names(address, std::move(done)); });
  }

 private:
  template <class Answer, class Ask>
  Result<Answer> wait(Ask ask) {
    std::optional<Result<Answer>> answer;
    const auto lookup = ask([this, &answer](Result<Answer> got) {
      answer.emplace(std::move(got));
      loop_.stop();
    });
    while (!answer) loop_.run();  // a stop may be left over from an answer that came at once
    return std::move(*answer);
  }

  net::Loop& loop_;
  std::unique_ptr<net::Resolver> resolver_;
};

}  // namespace

Result<std::unique_ptr<NameService>> NameService::create(net::Loop& loop,
                                                         const net::ResolverOptions& options) {
  ASSIGN_OR_RETURN(auto resolver, net::Resolver::create(loop, options));
  return std::make_unique<ResolverNameService>(loop, std::move(resolver));
}

}  // namespace sluice::relay
