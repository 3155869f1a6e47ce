#include "relay/route/redirected_key.h"

#include "relay/route/tls_wish.h"

namespace sluice::relay {
namespace {

constexpr std::string_view kMark = "=>";

}  // namespace

std::string redirectedKey(const SendConfig& connector, std::string_view domain) {
  std::string key(kMark);
  key += connector.name;
  if (connector.route == Route::Mx) key.append(">").append(domain);
  return key;
}

std::optional<RedirectedKey> parseRedirectedKey(std::string_view key) {
  key = withoutWish(key);
  if (!key.starts_with(kMark)) return std::nullopt;
  key.remove_prefix(kMark.size());
  const size_t end = key.find('>');
  if (end == std::string_view::npos) return RedirectedKey{key, {}};
  return RedirectedKey{key.substr(0, end), key.substr(end + 1)};
}

}  // namespace sluice::relay
