// A zone for tests of what judges DNS records; what is not in it does not exist.
#pragma once

#include <map>

#include "relay/doctor/name_service.h"

namespace sluice::relay {

class FakeNames final : public NameService {
 public:
  Result<std::vector<std::string>> txt(const std::string& name) override {
    ++questions;
    if (broken.contains(name)) return fail(Errc::DnsFailed, "name servers: SERVFAIL");
    const auto found = texts.find(name);
    if (found == texts.end()) return fail(Errc::NoDomain, "the name does not exist");
    return found->second;
  }
  Result<net::MxAnswer> mx(const std::string& domain) override {
    ++questions;
    const auto found = mx_hosts.find(domain);
    if (found == mx_hosts.end()) return fail(Errc::NoDomain, "the name does not exist");
    net::MxAnswer answer;
    for (const std::string& host : found->second) answer.hosts.push_back({host, 10});
    return answer;
  }
  Result<net::AddressAnswer> addresses(const std::string& host) override {
    ++questions;
    const auto found = hosts.find(host);
    if (found == hosts.end()) return fail(Errc::NoDomain, "the name does not exist");
    net::AddressAnswer answer;
    for (const std::string& text : found->second) {
      answer.addresses.push_back(*IpAddress::parse(text));
    }
    return answer;
  }
  Result<net::AddressAnswer> smartHostAddresses(const std::string& host) override {
    return addresses(host);
  }
  Result<std::vector<std::string>> names(const IpAddress& address) override {
    const auto found = pointers.find(address.toString());
    if (found == pointers.end()) return fail(Errc::NoDomain, "the name does not exist");
    return found->second;
  }

  std::map<std::string, std::vector<std::string>> texts, mx_hosts, hosts, pointers;
  std::map<std::string, bool> broken;
  int questions = 0;
};

}  // namespace sluice::relay
