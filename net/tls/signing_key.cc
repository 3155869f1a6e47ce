#include "net/tls/signing_key.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/bytestring.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <array>

namespace sluice::net {

struct SigningKey::Handle {
  bssl::UniquePtr<EVP_PKEY> key;
};

namespace {

constexpr unsigned kLeastMadeBits = 2048;  // RFC 8301 section 3.2
constexpr unsigned kMostMadeBits = 8192;
constexpr size_t kEd25519KeyBytes = 32;
constexpr size_t kEd25519SignatureBytes = 64;

// Never asks anybody for a passphrase.
int noPassphrase(char*, int, int, void*) { return -1; }

uint8_t* writable(std::string& text) { return reinterpret_cast<uint8_t*>(text.data()); }

Result<std::string> signRsa(EVP_PKEY* key, const Sha256Digest& digest) {
  RSA* rsa = EVP_PKEY_get0_RSA(key);
  std::string signature(RSA_size(rsa), '\0');
  unsigned size = 0;
  if (RSA_sign(NID_sha256, digest.data(), digest.size(), writable(signature), &size, rsa) != 1) {
    ERR_clear_error();
    return fail(Errc::Io, "the RSA key does not sign");
  }
  signature.resize(size);
  return signature;
}

Result<std::string> signEd25519(EVP_PKEY* key, const Sha256Digest& digest) {
  std::string signature(kEd25519SignatureBytes, '\0');
  size_t size = signature.size();
  bssl::ScopedEVP_MD_CTX context;
  if (EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key) != 1 ||
      EVP_DigestSign(context.get(), writable(signature), &size, digest.data(), digest.size()) !=
          1) {
    ERR_clear_error();
    return fail(Errc::Io, "the Ed25519 key does not sign");
  }
  return signature;
}

}  // namespace

SigningKey::SigningKey(std::unique_ptr<Handle> handle) : handle_(std::move(handle)) {}
SigningKey::~SigningKey() = default;

Result<std::shared_ptr<const SigningKey>> SigningKey::of(std::unique_ptr<Handle> handle) {
  return std::shared_ptr<const SigningKey>(new SigningKey(std::move(handle)));
}

Result<std::shared_ptr<const SigningKey>> SigningKey::fromPem(std::string_view pem) {
  const bssl::UniquePtr<BIO> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  auto handle = std::make_unique<Handle>();
  handle->key.reset(PEM_read_bio_PrivateKey(bio.get(), nullptr, noPassphrase, nullptr));
  ERR_clear_error();
  if (!handle->key) {
    const bool encrypted = pem.find("ENCRYPTED") != std::string_view::npos;
    return fail(Errc::Malformed,
                encrypted ? "the private key is encrypted: a relay starts without a passphrase"
                          : "no private key in PEM form (PKCS#8, \"BEGIN PRIVATE KEY\")");
  }
  const int type = EVP_PKEY_id(handle->key.get());
  if (type != EVP_PKEY_RSA && type != EVP_PKEY_ED25519) {
    return fail(Errc::Unsupported, "the private key is neither RSA nor Ed25519");
  }
  return of(std::move(handle));
}

Result<std::shared_ptr<const SigningKey>> SigningKey::makeRsa(unsigned bits) {
  if (bits < kLeastMadeBits || bits > kMostMadeBits) {
    return fail(Errc::InvalidArgument, "an RSA key has 2048 to 8192 bits");
  }
  const bssl::UniquePtr<BIGNUM> exponent(BN_new());
  const bssl::UniquePtr<RSA> rsa(RSA_new());
  auto handle = std::make_unique<Handle>();
  handle->key.reset(EVP_PKEY_new());
  if (BN_set_word(exponent.get(), RSA_F4) != 1 ||
      RSA_generate_key_ex(rsa.get(), static_cast<int>(bits), exponent.get(), nullptr) != 1 ||
      EVP_PKEY_set1_RSA(handle->key.get(), rsa.get()) != 1) {
    ERR_clear_error();
    return fail(Errc::Io, "no RSA key could be made");
  }
  return of(std::move(handle));
}

Result<std::shared_ptr<const SigningKey>> SigningKey::makeEd25519() {
  std::array<uint8_t, kEd25519KeyBytes> seed;
  randomBytes(seed);
  auto handle = std::make_unique<Handle>();
  handle->key.reset(
      EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, seed.data(), seed.size()));
  OPENSSL_cleanse(seed.data(), seed.size());
  if (!handle->key) return fail(Errc::Io, "no Ed25519 key could be made");
  return of(std::move(handle));
}

SigningKey::Kind SigningKey::kind() const {
  return EVP_PKEY_id(handle_->key.get()) == EVP_PKEY_RSA ? Kind::Rsa : Kind::Ed25519;
}

unsigned SigningKey::bits() const {
  if (kind() == Kind::Ed25519) return kEd25519KeyBytes * 8;
  return RSA_bits(EVP_PKEY_get0_RSA(handle_->key.get()));
}

Result<std::string> SigningKey::sign(const Sha256Digest& digest) const {
  EVP_PKEY* key = handle_->key.get();
  return kind() == Kind::Rsa ? signRsa(key, digest) : signEd25519(key, digest);
}

std::string SigningKey::publicKey() const {
  const EVP_PKEY* key = handle_->key.get();
  if (kind() == Kind::Ed25519) {
    std::string raw(kEd25519KeyBytes, '\0');
    size_t size = raw.size();
    EVP_PKEY_get_raw_public_key(key, writable(raw), &size);
    return raw;
  }
  bssl::ScopedCBB bytes;
  uint8_t* out = nullptr;
  size_t size = 0;
  if (CBB_init(bytes.get(), 512) != 1 || EVP_marshal_public_key(bytes.get(), key) != 1 ||
      CBB_finish(bytes.get(), &out, &size) != 1) {
    return {};
  }
  const bssl::UniquePtr<uint8_t> owned(out);
  return {reinterpret_cast<const char*>(out), size};
}

std::string SigningKey::toPem() const {
  const bssl::UniquePtr<BIO> bio(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_PKCS8PrivateKey(bio.get(), handle_->key.get(), nullptr, nullptr, 0, nullptr,
                                    nullptr) != 1) {
    return {};
  }
  const uint8_t* bytes = nullptr;
  size_t size = 0;
  BIO_mem_contents(bio.get(), &bytes, &size);
  return {reinterpret_cast<const char*>(bytes), size};
}

}  // namespace sluice::net
