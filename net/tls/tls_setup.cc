#include "net/tls/tls_setup.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <algorithm>
#include <array>
#include <cctype>

namespace sluice::net {
namespace {

// Of TLS 1.2; those of 1.3 are all good. Where the strength is the same the client chooses: it
// knows whether its processor has AES.
constexpr const char* kSuites =
    "[ECDHE-ECDSA-AES128-GCM-SHA256|ECDHE-ECDSA-CHACHA20-POLY1305]:"
    "[ECDHE-RSA-AES128-GCM-SHA256|ECDHE-RSA-CHACHA20-POLY1305]:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384";
constexpr std::array<int, 3> kCurves{NID_X25519, NID_X9_62_prime256v1, NID_secp384r1};
// Signatures that we believe: no SHA-1.
constexpr std::array<uint16_t, 9> kSignatures{
    SSL_SIGN_ED25519,          SSL_SIGN_ECDSA_SECP256R1_SHA256, SSL_SIGN_RSA_PSS_RSAE_SHA256,
    SSL_SIGN_RSA_PKCS1_SHA256, SSL_SIGN_ECDSA_SECP384R1_SHA384, SSL_SIGN_RSA_PSS_RSAE_SHA384,
    SSL_SIGN_RSA_PKCS1_SHA384, SSL_SIGN_RSA_PSS_RSAE_SHA512,    SSL_SIGN_RSA_PKCS1_SHA512,
};
constexpr size_t kMaxChainBytes = 64 * 1024;  // of a peer's certificates

}  // namespace

void FreeTlsObject::operator()(evp_pkey_st* key) const { EVP_PKEY_free(key); }
void FreeTlsObject::operator()(ssl_ctx_st* context) const { SSL_CTX_free(context); }
void FreeTlsObject::operator()(ssl_session_st* session) const { SSL_SESSION_free(session); }
void FreeTlsObject::operator()(ssl_st* connection) const { SSL_free(connection); }
void FreeTlsObject::operator()(x509_st* certificate) const { X509_free(certificate); }

Result<SslContextHandle> makeSslContext() {
  SslContextHandle context(SSL_CTX_new(TLS_method()));
  SSL_CTX* raw = context.get();
  const bool good =
      raw != nullptr && SSL_CTX_set_min_proto_version(raw, TLS1_2_VERSION) == 1 &&
      SSL_CTX_set_max_proto_version(raw, TLS1_3_VERSION) == 1 &&
      SSL_CTX_set_strict_cipher_list(raw, kSuites) == 1 &&
      SSL_CTX_set1_curves(raw, kCurves.data(), kCurves.size()) == 1 &&
      SSL_CTX_set_verify_algorithm_prefs(raw, kSignatures.data(), kSignatures.size()) == 1;
  if (!good) return fail(Errc::NoSpace, takeTlsError(nullptr, "TLS cannot be set up"));
  SSL_CTX_set_options(raw, SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_mode(raw, SSL_MODE_NO_AUTO_CHAIN);
  SSL_CTX_set_max_cert_list(raw, kMaxChainBytes);
  return context;
}

std::string takeTlsError(const ssl_st* connection, const char* otherwise) {
  const uint32_t error = ERR_get_error();
  ERR_clear_error();
  if (error == 0) return otherwise;
  const char* reason = ERR_reason_error_string(error);
  if (reason == nullptr) return otherwise;
  if (connection != nullptr && ERR_GET_LIB(error) == ERR_LIB_SSL &&
      ERR_GET_REASON(error) == SSL_R_CERTIFICATE_VERIFY_FAILED) {
    const long why = SSL_get_verify_result(connection);
    const char* reason_given = why == X509_V_ERR_APPLICATION_VERIFICATION
                                   ? "its RSA key, or one of its chain, is too short"
                                   : X509_verify_cert_error_string(why);
    return std::string("the certificate is not to be trusted: ") + reason_given;
  }
  std::string text = reason;  // "WRONG_VERSION_NUMBER"
  std::transform(text.begin(), text.end(), text.begin(), [](char c) {
    return c == '_' ? ' ' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  });
  return text;
}

}  // namespace sluice::net
