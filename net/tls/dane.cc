// Is this the server that its domain has published in DNS (RFC 7672: DANE for SMTP)?
#include "net/tls/dane.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <new>
#include <optional>
#include <utility>

#include "net/tls/crypto.h"
#include "net/tls/tls_identity.h"

namespace sluice::net {
namespace {

// RFC 7671 section 2.1; the names are RFC 7218's.
enum Usage : uint8_t { kDaneTa = 2, kDaneEe = 3 };
enum Selector : uint8_t { kCertificate = 0, kSpki = 1 };
enum Matching : uint8_t { kWhole = 0, kSha256 = 1, kSha512 = 2 };

using Der = std::string;

template <class Object>
Der derOf(Object* object, int (*encode)(Object*, uint8_t**)) {
  uint8_t* bytes = nullptr;
  const int size = encode(object, &bytes);
  if (size <= 0) return {};
  Der der(reinterpret_cast<const char*>(bytes), static_cast<size_t>(size));
  OPENSSL_free(bytes);
  return der;
}

bssl::UniquePtr<X509> certificateOf(const Der& der) {
  const auto* at = reinterpret_cast<const uint8_t*>(der.data());
  const auto* const end = at + der.size();
  bssl::UniquePtr<X509> certificate(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  if (at != end) certificate.reset();
  ERR_clear_error();
  return certificate;
}

bool isPublicKey(const Der& der) {
  const auto* at = reinterpret_cast<const uint8_t*>(der.data());
  const auto* const end = at + der.size();
  const bssl::UniquePtr<EVP_PKEY> key(d2i_PUBKEY(nullptr, &at, static_cast<long>(der.size())));
  ERR_clear_error();
  return key && at == end;
}

bool isUsable(const TlsaRecord& record) {
  if (record.usage != kDaneTa && record.usage != kDaneEe) return false;  // RFC 7672 section 3.1.3
  if (record.selector != kCertificate && record.selector != kSpki) return false;
  switch (record.matching) {
    case kWhole:
      return record.selector == kSpki ? isPublicKey(record.data)
                                      : certificateOf(record.data) != nullptr;
    case kSha256:
      return record.data.size() == SHA256_DIGEST_LENGTH;
    case kSha512:
      return record.data.size() == SHA512_DIGEST_LENGTH;
    default:
      return false;
  }
}

bool sameKind(const TlsaRecord& a, const TlsaRecord& b) {
  return a.usage == b.usage && a.selector == b.selector;
}

// A name, or one below a wildcard that stands for one label, among the certificate's DNS names.
bool bearsOneOf(X509& certificate, const std::vector<std::string>& names) {
  return std::any_of(names.begin(), names.end(),
                     [&](const auto& name) { return certificateServes(certificate, name); });
}

PeerFault faultOf(int verify_error) {
  switch (verify_error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return PeerFault::Expired;
    default:
      return PeerFault::Untrusted;
  }
}

}  // namespace

// What the server has shown: its certificate, and what is to lead from there to an authority.
struct DanePolicy::Chain {
  struct Link {
    X509* certificate;
    Der whole;
    Der spki;
  };
  STACK_OF(X509) * certificates;
  std::vector<Link> links;  // the server's own first

  explicit Chain(STACK_OF(X509) * shown) : certificates(shown) {
    for (size_t i = 0; shown != nullptr && i < sk_X509_num(shown); ++i) {
      X509* one = sk_X509_value(shown, i);
      links.push_back(
          {one, derOf(one, i2d_X509), derOf(X509_get_X509_PUBKEY(one), i2d_X509_PUBKEY)});
    }
  }
};

namespace {

template <class Link>
bool matches(const TlsaRecord& record, const Link& link) {
  const Der& selected = record.selector == kSpki ? link.spki : link.whole;
  if (selected.empty()) return false;
  const auto* bytes = reinterpret_cast<const uint8_t*>(selected.data());
  switch (record.matching) {
    case kWhole:
      return record.data == selected;
    case kSha256:
      return record.data == asView(sha256(selected));
    case kSha512: {
      std::array<uint8_t, SHA512_DIGEST_LENGTH> digest;
      SHA512(bytes, selected.size(), digest.data());
      return record.data == asView(digest);
    }
    default:
      return false;
  }
}

}  // namespace

std::shared_ptr<const DanePolicy> DanePolicy::of(const std::vector<TlsaRecord>& records,
                                                 std::vector<std::string> names) {
  std::shared_ptr<DanePolicy> policy(new DanePolicy);
  policy->names_ = std::move(names);
  std::vector<TlsaRecord> usable;
  std::copy_if(records.begin(), records.end(), std::back_inserter(usable), isUsable);
  const auto outdone = [&](const TlsaRecord& record) {
    return record.matching == kSha256 &&
           std::any_of(usable.begin(), usable.end(), [&](const TlsaRecord& other) {
             return other.matching == kSha512 && sameKind(record, other);
           });
  };
  std::remove_copy_if(usable.begin(), usable.end(), std::back_inserter(policy->records_), outdone);
  std::string all;
  for (const std::string& name : policy->names_) all.append(name).append("\n");
  std::vector<std::string> lines;
  for (const TlsaRecord& record : policy->records_) {
    lines.push_back({static_cast<char>(record.usage), static_cast<char>(record.selector),
                     static_cast<char>(record.matching)});
    lines.back() += asView(sha256(record.data));
  }
  std::sort(lines.begin(), lines.end());
  for (const std::string& line : lines) all.append(line);
  policy->fingerprint_ = hexEncode(asView(sha256(all)));
  return policy;
}

PeerFault DanePolicy::check(ssl_st& connection) const {
  const Chain chain(SSL_get_peer_full_cert_chain(&connection));
  if (chain.links.empty()) return PeerFault::NoTlsaMatch;
  if (matchesLeaf(chain)) return PeerFault::None;
  return checkBelowAnchors(chain);
}

bool DanePolicy::matchesLeaf(const Chain& chain) const {
  return std::any_of(records_.begin(), records_.end(), [&](const TlsaRecord& record) {
    return record.usage == kDaneEe && matches(record, chain.links.front());
  });
}

// RFC 7671 section 5.2: the certificate must lead to one that a DANE-TA(2) record names, or holds.
PeerFault DanePolicy::checkBelowAnchors(const Chain& chain) const {
  const bssl::UniquePtr<STACK_OF(X509)> anchors(sk_X509_new_null());
  if (!anchors) throw std::bad_alloc();
  const auto trust = [&](X509* certificate) {
    X509_up_ref(certificate);
    if (sk_X509_push(anchors.get(), certificate) == 0) X509_free(certificate);
  };
  for (const TlsaRecord& record : records_) {
    if (record.usage != kDaneTa) continue;
    for (size_t i = 1; i < chain.links.size(); ++i) {
      if (matches(record, chain.links[i])) trust(chain.links[i].certificate);
    }
    if (record.matching != kWhole || record.selector != kCertificate) continue;
    if (const auto held = certificateOf(record.data)) trust(held.get());
  }
  if (sk_X509_num(anchors.get()) == 0) return PeerFault::NoTlsaMatch;

  const bssl::UniquePtr<X509_STORE> nobody(X509_STORE_new());
  const bssl::UniquePtr<X509_STORE_CTX> verification(X509_STORE_CTX_new());
  X509* const leaf = chain.links.front().certificate;
  if (!nobody || !verification ||
      X509_STORE_CTX_init(verification.get(), nobody.get(), leaf, chain.certificates) != 1) {
    throw std::bad_alloc();
  }
  X509_STORE_CTX_trusted_stack(verification.get(), anchors.get());
  X509_STORE_CTX_set_default(verification.get(), "ssl_server");
  X509_STORE_CTX_set_flags(verification.get(), X509_V_FLAG_PARTIAL_CHAIN);
  const bool good = X509_verify_cert(verification.get()) == 1;
  const int error = X509_STORE_CTX_get_error(verification.get());
  ERR_clear_error();
  if (!good) return faultOf(error);
  return bearsOneOf(*leaf, names_) ? PeerFault::None : PeerFault::WrongName;
}

}  // namespace sluice::net
