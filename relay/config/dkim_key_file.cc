#include "relay/config/dkim_key_file.h"

#include "relay/config/file_checks.h"

namespace sluice::relay {
namespace {

constexpr size_t kMaxKeyFileBytes = 64 * 1024;  // RSA with 16384 bits takes 13 KiB

}  // namespace

Result<std::shared_ptr<const net::SigningKey>> loadDkimKey(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string pem, readWholeFile(path, kMaxKeyFileBytes));
  auto key = net::SigningKey::fromPem(pem);
  if (!key) return fail(key.error().code, path + ": " + key.error().detail);
  if ((*key)->kind() == net::SigningKey::Kind::Rsa && (*key)->bits() < kLeastDkimBits) {
    return fail(Errc::InvalidArgument, path + ": an RSA key of " + std::to_string((*key)->bits()) +
                                           " bits is too short: 2048 are needed");
  }
  return key;
}

}  // namespace sluice::relay
