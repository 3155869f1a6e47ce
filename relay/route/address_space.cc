// Which domains does an address space take in, and which of two spaces is the more specific?
#include "relay/route/address_space.h"

namespace sluice::relay {
namespace {

// Above every length that a subdomain space can have (RFC 1035 §2.3.4: 255 octets).
constexpr size_t kExact = 1000;

}  // namespace

bool addressSpaceContains(std::string_view space, std::string_view domain) {
  if (domain.empty()) return false;
  if (space == "*" || space == domain) return true;
  return space.size() > 1 && space.front() == '.' && domain.front() != '[' &&
         domain.size() > space.size() && domain.ends_with(space);
}

size_t addressSpaceSpecificity(std::string_view space) {
  if (space == "*") return 0;
  return space.starts_with('.') ? space.size() : kExact;
}

}  // namespace sluice::relay
