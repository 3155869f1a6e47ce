// Which keys sign for which author's domain.
//
// Never changes: a reload makes a new one. Any thread.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "relay/config/config.h"
#include "relay/sign/dkim_signature.h"

namespace sluice::relay {

class DkimKeys {
 public:
  // Of a configuration without mistakes.
  static std::shared_ptr<const DkimKeys> from(const std::vector<DkimConfig>& entries);

  // All keys of the domain itself, else of the nearest domain above it that has some. `domain` as
  // authorDomain() gives it.
  std::span<const DkimKey> forAuthor(std::string_view domain) const;
  bool empty() const { return keys_.empty(); }

 private:
  std::map<std::string, std::vector<DkimKey>, std::less<>> keys_;  // by domain
};

}  // namespace sluice::relay
