#include "relay/sign/dkim_keys.h"

namespace sluice::relay {

std::shared_ptr<const DkimKeys> DkimKeys::from(const std::vector<DkimConfig>& entries) {
  auto keys = std::make_shared<DkimKeys>();
  for (const DkimConfig& entry : entries) {
    keys->keys_[entry.domain].push_back({entry.domain, entry.selector, entry.private_key});
  }
  return keys;
}

std::span<const DkimKey> DkimKeys::forAuthor(std::string_view domain) const {
  while (!domain.empty()) {
    const auto found = keys_.find(domain);
    if (found != keys_.end()) return found->second;
    const size_t dot = domain.find('.');
    domain.remove_prefix(dot == std::string_view::npos ? domain.size() : dot + 1);
  }
  return {};
}

}  // namespace sluice::relay
