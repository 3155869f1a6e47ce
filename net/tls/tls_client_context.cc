#include "net/tls/tls_client_context.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <new>

#include "net/base/ip_address.h"
#include "net/tls/tls_setup.h"

namespace sluice::net {
namespace {

// What a connection keeps of its peer.
struct KnownPeer {
  std::string cache_name;  // under which its sessions are kept
  std::shared_ptr<const DanePolicy> dane;
  bool looked_at = false;
  PeerFault fault = PeerFault::None;  // by DANE
};

int peerIndex() {
  static const int index = SSL_get_ex_new_index(
      0, nullptr, nullptr, nullptr, [](void*, void* peer, CRYPTO_EX_DATA*, int, long, void*) {
        delete static_cast<KnownPeer*>(peer);
      });
  return index;
}

KnownPeer* knownPeer(const SSL& connection) {
  return static_cast<KnownPeer*>(SSL_get_ex_data(&connection, peerIndex()));
}

bool byDane(const TlsPeer& peer) { return peer.dane && peer.dane->usable(); }

// A session proves what was demanded when it began, so it is resumed under that demand only.
std::string cacheName(const TlsPeer& peer) {
  std::string name = peer.host + ":" + std::to_string(peer.port);
  if (byDane(peer)) return name + " dane " + peer.dane->fingerprint();
  if (peer.only_look) return name + " looked at";
  return peer.verify ? name + " verified" : name;
}

// RFC 9325 section 4.5: no shorter RSA keys anywhere in the chain.
int onCertificate(int good, X509_STORE_CTX* chain) {
  constexpr int kMinRsaBits = 2048;
  if (good == 0) return 0;
  const bssl::UniquePtr<EVP_PKEY> key(X509_get_pubkey(X509_STORE_CTX_get_current_cert(chain)));
  const bool rsa = key && EVP_PKEY_id(key.get()) == EVP_PKEY_RSA;
  if (!rsa || EVP_PKEY_bits(key.get()) >= kMinRsaBits) return 1;
  X509_STORE_CTX_set_error(chain, X509_V_ERR_APPLICATION_VERIFICATION);
  return 0;
}

bool demandName(SSL* connection, const TlsPeer& peer, bool is_address) {
  SSL_set_verify(connection, peer.only_look ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, onCertificate);
  X509_VERIFY_PARAM* demand = SSL_get0_param(connection);
  X509_VERIFY_PARAM_set_hostflags(demand, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  if (is_address) return X509_VERIFY_PARAM_set1_ip_asc(demand, peer.host.c_str()) == 1;
  return X509_VERIFY_PARAM_set1_host(demand, peer.host.data(), peer.host.size()) == 1;
}

ssl_verify_result_t onDaneCertificate(SSL* connection, uint8_t* alert) {
  KnownPeer& peer = *knownPeer(*connection);
  peer.fault = peer.dane->check(*connection);
  if (peer.fault == PeerFault::None) return ssl_verify_ok;
  *alert = SSL_AD_BAD_CERTIFICATE;
  return ssl_verify_invalid;
}

}  // namespace

struct TlsClientContext::Callbacks {
  static int onSession(SSL* connection, SSL_SESSION* session) {
    auto* self = static_cast<TlsClientContext*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(connection)));
    const KnownPeer* peer = knownPeer(*connection);
    if (peer == nullptr) return 0;
    self->sessions_.put(peer->cache_name, SslSessionHandle(session));
    return 1;  // the session is ours now
  }
};

void TlsClientContext::keepResumed(ssl_st& connection) {
  SSL_SESSION* session = SSL_get_session(&connection);
  if (session == nullptr || SSL_SESSION_should_be_single_use(session) != 0) return;
  SSL_SESSION_up_ref(session);
  if (Callbacks::onSession(&connection, session) == 0) SSL_SESSION_free(session);
}

Result<std::shared_ptr<TlsClientContext>> TlsClientContext::create(
    const std::optional<TlsCertificates>& authorities) {
  ERR_clear_error();
  std::shared_ptr<TlsClientContext> context(new TlsClientContext);
  ASSIGN_OR_RETURN(context->context_, makeSslContext());
  SSL_CTX* raw = context->context_.get();
  if (authorities) {
    X509_STORE* store = SSL_CTX_get_cert_store(raw);
    for (const auto& authority : authorities->all()) {
      if (X509_STORE_add_cert(store, authority.get()) != 1) {
        return fail(Errc::InvalidArgument, takeTlsError(nullptr, "an authority cannot be used"));
      }
    }
  }
  SSL_CTX_set_verify(raw, SSL_VERIFY_NONE, nullptr);
  SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_set_app_data(raw, context.get());
  SSL_CTX_sess_set_new_cb(raw, Callbacks::onSession);
  return context;
}

Result<SslHandle> TlsClientContext::newConnection(const TlsPeer& peer) {
  ERR_clear_error();
  SslHandle connection(SSL_new(context_.get()));
  if (!connection) throw std::bad_alloc();
  SSL* raw = connection.get();
  SSL_set_connect_state(raw);
  // RFC 6066 section 3: an address is no server name.
  const bool is_address = IpAddress::parse(peer.host).has_value();
  const bool look = (peer.verify || peer.only_look) && !byDane(peer);
  if ((!is_address && SSL_set_tlsext_host_name(raw, peer.host.c_str()) != 1) ||
      (look && !demandName(raw, peer, is_address))) {
    return fail(Errc::InvalidArgument, takeTlsError(nullptr, "no name for TLS: ") + peer.host);
  }
  if (byDane(peer)) SSL_set_custom_verify(raw, SSL_VERIFY_PEER, onDaneCertificate);
  auto known = std::make_unique<KnownPeer>(KnownPeer{cacheName(peer), peer.dane, look});
  const std::string name = known->cache_name;
  SSL_set_ex_data(raw, peerIndex(), known.release());
  if (const SslSessionHandle earlier = sessions_.take(name)) SSL_set_session(raw, earlier.get());
  return connection;
}

PeerFault TlsClientContext::daneFaultOf(const ssl_st& connection) {
  const KnownPeer* peer = knownPeer(connection);
  return peer != nullptr ? peer->fault : PeerFault::None;
}

PeerFault TlsClientContext::faultOf(const ssl_st& connection) {
  const KnownPeer* peer = knownPeer(connection);
  if (peer == nullptr) return PeerFault::None;
  if (peer->fault != PeerFault::None || !peer->looked_at) return peer->fault;
  switch (SSL_get_verify_result(&connection)) {
    case X509_V_OK:
      return PeerFault::None;
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return PeerFault::Expired;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return PeerFault::WrongName;
    default:
      return PeerFault::Untrusted;
  }
}

}  // namespace sluice::net
