#include "net/tls/tls_server_context.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/mem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <algorithm>
#include <new>
#include <string_view>

#include "net/tls/crypto.h"
#include "net/tls/tls_setup.h"

namespace sluice::net {
namespace {

// RFC 7301 ids that SMTP clients send, if they send any. "smtp" is what others accept, too.
constexpr std::string_view kOurProtocol = "smtp";

// CA and fingerprints in a digest, so that no session is resumed beyond what vouched for it.
std::string scopeOf(const TlsServerOptions& options) {
  std::string text = options.scope;
  for (const Sha256Digest& fingerprint : options.client_fingerprints) {
    text.append(asView(fingerprint));
  }
  if (options.client_ca) {
    for (const auto& authority : options.client_ca->all()) {
      std::array<uint8_t, EVP_MAX_MD_SIZE> digest{};
      unsigned size = 0;
      X509_digest(authority.get(), EVP_sha256(), digest.data(), &size);
      text.append(asView(std::span(digest).first(size)));
    }
  }
  return text;
}

}  // namespace

// One certificate, ready to be shown.
struct TlsServerContext::Choice {
  SslContextHandle context;
  CertificateHandle leaf;
};

struct TlsServerContext::Callbacks {
  static const TlsServerContext& ofConnection(const SSL* connection) {
    return *static_cast<const TlsServerContext*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(connection)));
  }

  static int onName(SSL* connection, int*, void* self) {
    const char* name = SSL_get_servername(connection, TLSEXT_NAMETYPE_host_name);
    if (name == nullptr) return SSL_TLSEXT_ERR_NOACK;
    const auto& choices = static_cast<TlsServerContext*>(self)->choices_;
    for (const auto& choice : choices) {
      if (!certificateServes(*choice->leaf, name)) continue;
      if (SSL_set_SSL_CTX(connection, choice->context.get()) == nullptr) break;
      return SSL_TLSEXT_ERR_OK;
    }
    return SSL_TLSEXT_ERR_NOACK;  // the first one will have to do
  }

  // RFC 7301 section 3.2: what speaks another protocol must not be let in (cross-protocol attacks).
  static int onProtocols(SSL*, const uint8_t** out, uint8_t* out_size, const uint8_t* in,
                         unsigned in_size, void*) {
    std::string_view offered = asView({in, in_size});
    while (!offered.empty()) {
      const auto size = static_cast<uint8_t>(offered.front());
      const std::string_view one = offered.substr(1, size);
      if (one == kOurProtocol) {
        *out = in + (one.data() - asView({in, in_size}).data());
        *out_size = size;
        return SSL_TLSEXT_ERR_OK;
      }
      offered.remove_prefix(std::min<size_t>(offered.size(), size + size_t{1}));
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }

  // Returns as BoringSSL wants it: 1 good, 2 good but renew, 0 not ours, -1 failed.
  static int onTicket(SSL* connection, uint8_t* name, uint8_t* iv, EVP_CIPHER_CTX* cipher,
                      HMAC_CTX* mac, int encrypt) {
    TicketKeys& tickets = *ofConnection(connection).tickets_;
    TicketKey key;
    int result = 1;
    if (encrypt != 0) {
      key = tickets.current();
      std::copy(key.name.begin(), key.name.end(), name);
      RAND_bytes(iv, EVP_MAX_IV_LENGTH);
    } else {
      const auto found = tickets.find({name, key.name.size()});
      if (!found) return 0;
      key = found->key;
      result = found->renew ? 2 : 1;
    }
    const bool good =
        HMAC_Init_ex(mac, key.mac_key.data(), key.mac_key.size(), EVP_sha256(), nullptr) == 1 &&
        EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), nullptr, key.cipher_key.data(), iv, encrypt) ==
            1;
    OPENSSL_cleanse(&key, sizeof key);
    return good ? result : -1;
  }

  // A certificate that nobody vouches for is as good as none: the verdict is kept, and asked later.
  static int onVerified(int, X509_STORE_CTX*) { return 1; }
};

TlsServerContext::~TlsServerContext() = default;

Result<std::shared_ptr<const TlsServerContext>> TlsServerContext::create(
    const TlsServerOptions& options, std::shared_ptr<TicketKeys> tickets) {
  ERR_clear_error();
  std::shared_ptr<TlsServerContext> context(new TlsServerContext);
  context->tickets_ = std::move(tickets);
  context->has_client_ca_ = options.client_ca.has_value();
  context->client_fingerprints_ = options.client_fingerprints;
  std::sort(context->client_fingerprints_.begin(), context->client_fingerprints_.end());
  for (const TlsIdentity& identity : options.identities) {
    RETURN_IF_ERROR(context->add(identity, options));
  }
  if (context->choices_.empty()) return fail(Errc::InvalidArgument, "needs a certificate");
  return std::shared_ptr<const TlsServerContext>(std::move(context));
}

Result<void> TlsServerContext::add(const TlsIdentity& identity, const TlsServerOptions& options) {
  ASSIGN_OR_RETURN(SslContextHandle context, makeSslContext());
  SSL_CTX* raw = context.get();
  const auto& chain = identity.chain().all();
  bool good = SSL_CTX_use_certificate(raw, chain.front().get()) == 1 &&
              SSL_CTX_use_PrivateKey(raw, identity.key()) == 1;
  for (size_t i = 1; good && i < chain.size(); ++i) {
    good = SSL_CTX_add1_chain_cert(raw, chain[i].get()) == 1;
  }
  const Sha256Digest scope = sha256(scopeOf(options));
  good = good && SSL_CTX_set_session_id_context(raw, scope.data(), scope.size()) == 1 &&
         SSL_CTX_set_tlsext_ticket_key_cb(raw, Callbacks::onTicket) == 1;
  if (good && options.client_ca) {
    X509_STORE* authorities = SSL_CTX_get_cert_store(raw);
    for (const auto& authority : options.client_ca->all()) {
      good = good && X509_STORE_add_cert(authorities, authority.get()) == 1 &&
             SSL_CTX_add_client_CA(raw, authority.get()) == 1;
    }
  }
  if (options.client_ca || !options.client_fingerprints.empty()) {
    SSL_CTX_set_verify(raw, SSL_VERIFY_PEER, Callbacks::onVerified);
    SSL_CTX_set_retain_only_sha256_of_client_certs(raw, 1);
  }
  if (!good) {
    return fail(Errc::InvalidArgument, takeTlsError(nullptr, "the certificate cannot be used"));
  }
  constexpr auto kLifetime = static_cast<uint32_t>(
      std::chrono::duration_cast<std::chrono::seconds>(TicketKeys::kPeriod).count());
  SSL_CTX_set_timeout(raw, kLifetime);
  SSL_CTX_set_session_psk_dhe_timeout(raw, kLifetime);
  SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF);  // tickets only
  SSL_CTX_set_app_data(raw, this);
  SSL_CTX_set_tlsext_servername_callback(raw, Callbacks::onName);
  SSL_CTX_set_tlsext_servername_arg(raw, this);
  SSL_CTX_set_alpn_select_cb(raw, Callbacks::onProtocols, nullptr);
  choices_.push_back(std::make_unique<Choice>());
  choices_.back()->context = std::move(context);
  X509_up_ref(chain.front().get());
  choices_.back()->leaf.reset(chain.front().get());
  expiry_ = std::min(expiry_, identity.chain().expiry());
  return {};
}

SslHandle TlsServerContext::newConnection() const {
  SslHandle connection(SSL_new(choices_.front()->context.get()));
  if (!connection) throw std::bad_alloc();
  SSL_set_accept_state(connection.get());
  return connection;
}

bool TlsServerContext::hasTrustedClient(const ssl_st& connection) {
  const SSL_SESSION* session = SSL_get_session(&connection);
  if (session == nullptr || SSL_SESSION_has_peer_sha256(session) != 1) return false;
  const TlsServerContext& self = Callbacks::ofConnection(&connection);
  if (self.has_client_ca_ && SSL_get_verify_result(&connection) == X509_V_OK) return true;
  const uint8_t* digest = nullptr;
  size_t size = 0;
  SSL_SESSION_get0_peer_sha256(session, &digest, &size);
  Sha256Digest fingerprint{};
  if (size != fingerprint.size()) return false;
  std::copy_n(digest, size, fingerprint.begin());
  return std::binary_search(self.client_fingerprints_.begin(), self.client_fingerprints_.end(),
                            fingerprint);
}

}  // namespace sluice::net
