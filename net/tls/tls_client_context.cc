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

// Where a connection keeps the name under which its sessions are cached.
int peerIndex() {
  static const int index = SSL_get_ex_new_index(
      0, nullptr, nullptr, nullptr, [](void*, void* peer, CRYPTO_EX_DATA*, int, long, void*) {
        delete static_cast<std::string*>(peer);
      });
  return index;
}

std::string cacheName(const TlsPeer& peer) {
  return peer.host + ":" + std::to_string(peer.port) + (peer.verify ? " verified" : "");
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
  SSL_set_verify(connection, SSL_VERIFY_PEER, onCertificate);
  X509_VERIFY_PARAM* demand = SSL_get0_param(connection);
  X509_VERIFY_PARAM_set_hostflags(demand, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  if (is_address) return X509_VERIFY_PARAM_set1_ip_asc(demand, peer.host.c_str()) == 1;
  return X509_VERIFY_PARAM_set1_host(demand, peer.host.data(), peer.host.size()) == 1;
}

}  // namespace

struct TlsClientContext::Callbacks {
  static int onSession(SSL* connection, SSL_SESSION* session) {
    auto* self = static_cast<TlsClientContext*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(connection)));
    const auto* peer = static_cast<std::string*>(SSL_get_ex_data(connection, peerIndex()));
    if (peer == nullptr) return 0;
    self->sessions_.put(*peer, SslSessionHandle(session));
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
  if ((!is_address && SSL_set_tlsext_host_name(raw, peer.host.c_str()) != 1) ||
      (peer.verify && !demandName(raw, peer, is_address))) {
    return fail(Errc::InvalidArgument, takeTlsError(nullptr, "no name for TLS: ") + peer.host);
  }
  const std::string name = cacheName(peer);
  SSL_set_ex_data(raw, peerIndex(), new std::string(name));
  if (const SslSessionHandle earlier = sessions_.take(name)) SSL_set_session(raw, earlier.get());
  return connection;
}

}  // namespace sluice::net
