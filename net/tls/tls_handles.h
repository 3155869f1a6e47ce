// Owning pointers to BoringSSL's objects, for headers that do not include openssl/.
#pragma once

#include <memory>

struct bio_st;
struct evp_pkey_st;
struct ssl_ctx_st;
struct ssl_session_st;
struct ssl_st;
struct x509_st;

namespace sluice::net {

// Gives one reference back.
struct FreeTlsObject {
  void operator()(evp_pkey_st* key) const;
  void operator()(ssl_ctx_st* context) const;
  void operator()(ssl_session_st* session) const;
  void operator()(ssl_st* connection) const;
  void operator()(x509_st* certificate) const;
};

using KeyHandle = std::unique_ptr<evp_pkey_st, FreeTlsObject>;
using SslContextHandle = std::unique_ptr<ssl_ctx_st, FreeTlsObject>;
using SslSessionHandle = std::unique_ptr<ssl_session_st, FreeTlsObject>;
using SslHandle = std::unique_ptr<ssl_st, FreeTlsObject>;
using CertificateHandle = std::unique_ptr<x509_st, FreeTlsObject>;

}  // namespace sluice::net
