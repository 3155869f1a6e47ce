// DNS for an examination: one question after the other, each waited for.
//
// An interface, so that what judges records can be tested without a network. Names are lower-case
// A-labels; answers are hostile, and bounded by net/dns. Errors: as net/dns/resolver.h.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "net/dns/resolver.h"

namespace sluice::relay {

class NameService {
 public:
  virtual ~NameService() = default;
  virtual Result<std::vector<std::string>> txt(const std::string& name) = 0;
  virtual Result<net::MxAnswer> mx(const std::string& domain) = 0;
  virtual Result<net::AddressAnswer> addresses(const std::string& host) = 0;
  virtual Result<net::AddressAnswer> smartHostAddresses(const std::string& host) = 0;
  virtual Result<std::vector<std::string>> names(const IpAddress& address) = 0;

  // By the resolver that delivery uses, on a loop that nothing else runs on meanwhile.
  static Result<std::unique_ptr<NameService>> create(net::Loop& loop,
                                                     const net::ResolverOptions& options);
};

// The name, or a type of it, is not there: an answer, unlike a failure.
inline bool isMissing(const Error& error) {
  return error.code == Errc::NoDomain || error.code == Errc::NoData;
}

}  // namespace sluice::relay
