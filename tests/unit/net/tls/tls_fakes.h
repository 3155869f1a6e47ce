// Certificates made on the spot, and a pair of streams in memory whose bytes move when a test says
// so, in segments of any size.
#pragma once

#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/ec_key.h>
#include <openssl/evp.h>
#include <openssl/nid.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "net/loop.h"
#include "net/stream.h"
#include "net/tcp_stream.h"

namespace sluice::net {

// A certificate with its key. With an issuer it is signed by it, else by itself (and may sign).
class MadeCertificate {
 public:
  // `names` as "DNS:a.test,DNS:*.b.test,IP:127.0.0.1"; empty: none.
  MadeCertificate(const std::string& common_name, const std::string& names,
                  const MadeCertificate* issuer = nullptr, long valid_seconds = 86'400)
      : key_(EVP_PKEY_new()), certificate_(X509_new()) {
    EC_KEY* ec = EC_KEY_new_by_curve_name(NID_X9_62_prime256v1);
    EC_KEY_generate_key(ec);
    EVP_PKEY_assign_EC_KEY(key_.get(), ec);
    X509* raw = certificate_.get();
    static long serial = 1;
    X509_set_version(raw, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(raw), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(raw), -3600);
    X509_gmtime_adj(X509_getm_notAfter(raw), valid_seconds);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(raw), "CN", MBSTRING_ASC,
                               reinterpret_cast<const uint8_t*>(common_name.c_str()), -1, -1, 0);
    X509_set_issuer_name(raw, X509_get_subject_name(issuer ? issuer->certificate_.get() : raw));
    X509_set_pubkey(raw, key_.get());
    if (!names.empty()) extend(NID_subject_alt_name, names);
    if (!issuer) extend(NID_basic_constraints, "critical,CA:TRUE");
    X509_sign(raw, issuer ? issuer->key_.get() : key_.get(), EVP_sha256());
  }

  std::string pem() const {
    return written([this](BIO* out) { PEM_write_bio_X509(out, certificate_.get()); });
  }
  std::string keyPem() const {
    return written([this](BIO* out) {
      PEM_write_bio_PrivateKey(out, key_.get(), nullptr, nullptr, 0, nullptr, nullptr);
    });
  }
  std::string encryptedKeyPem() const {
    return written([this](BIO* out) {
      std::string password = "secret";
      PEM_write_bio_PKCS8PrivateKey(out, key_.get(), EVP_aes_128_cbc(), password.data(), 6, nullptr,
                                    nullptr);
    });
  }

 private:
  void extend(int what, const std::string& value) {
    X509_EXTENSION* extension = X509V3_EXT_nconf_nid(nullptr, nullptr, what, value.c_str());
    ASSERT_NE(extension, nullptr) << value;
    X509_add_ext(certificate_.get(), extension, -1);
    X509_EXTENSION_free(extension);
  }
  template <class Write>
  static std::string written(Write write) {
    const bssl::UniquePtr<BIO> out(BIO_new(BIO_s_mem()));
    write(out.get());
    const uint8_t* bytes = nullptr;
    size_t size = 0;
    BIO_mem_contents(out.get(), &bytes, &size);
    return {reinterpret_cast<const char*>(bytes), size};
  }

  bssl::UniquePtr<EVP_PKEY> key_;
  bssl::UniquePtr<X509> certificate_;
};

// Two ends; what one sends waits here until it is moved to the other. Outlives its ends.
class Pipe {
 public:
  struct Side {
    Stream::Handler* handler = nullptr;
    std::string in_flight;  // flushed by this side
    std::string kept_back;  // written, not flushed
    bool above_low_water = false;
    bool paused = false;
    bool finished = false;
    bool closed = false;
    bool end_told = false;
    size_t sent = 0;
  };
  std::array<Side, 2> sides;

  // Moves up to `segment` bytes that side `from` has sent. False if there was nothing to move.
  bool move(size_t from, size_t segment = std::string::npos) {
    Side& sender = sides[from];
    Side& receiver = sides[1 - from];
    if (receiver.finished || receiver.closed) sender.in_flight.clear();
    if (!sender.in_flight.empty() && !receiver.paused) {
      const std::string bytes = sender.in_flight.substr(0, segment);
      sender.in_flight.erase(0, bytes.size());
      if (receiver.handler != nullptr) receiver.handler->onRead(bytes);
      if (sender.above_low_water && unsent(from) <= TcpStream::kLowWaterBytes) {
        sender.above_low_water = false;
        if (sender.handler != nullptr) sender.handler->onDrained();
      }
      return true;
    }
    const bool ended = (sender.finished || sender.closed) && sender.in_flight.empty();
    if (!ended || receiver.end_told || receiver.paused) return false;
    receiver.end_told = true;
    if (receiver.handler == nullptr) return false;
    std::exchange(receiver.handler, nullptr)->onEnd({Errc::Closed, "the pipe ended"});
    return true;
  }
  // Moves everything both ways until nothing moves.
  void run(Loop& loop, size_t segment = std::string::npos) {
    bool moved = true;
    while (moved) {
      moved = false;
      for (const size_t from : {size_t{0}, size_t{1}}) moved |= move(from, segment);
      loop.stop();  // one turn, for deferred work
      loop.run();
      for (const Side& side : sides) moved |= !side.in_flight.empty() && !other(side).paused;
    }
  }
  size_t unsent(size_t side) const {
    return sides[side].in_flight.size() + sides[side].kept_back.size();
  }
  const Side& other(const Side& side) const { return &side == &sides[0] ? sides[1] : sides[0]; }
};

class PipeEnd final : public Stream {
 public:
  PipeEnd(Pipe& pipe, size_t side) : pipe_(pipe), side_(side) {}
  ~PipeEnd() override { close(); }
  void setHandler(Stream::Handler* handler) override { self().handler = handler; }
  void write(std::string_view bytes) override { self().kept_back.append(bytes); }
  void write(Slice slice) override { self().kept_back.append(slice.bytes); }
  void flush() override {
    if (unsentBytes() > TcpStream::kLowWaterBytes) self().above_low_water = true;
    self().sent += self().kept_back.size();
    self().in_flight.append(std::exchange(self().kept_back, {}));
  }
  size_t unsentBytes() const override { return pipe_.unsent(side_); }
  void pauseReading() override { self().paused = true; }
  void resumeReading() override { self().paused = false; }
  void finish() override {
    if (self().closed) return;
    flush();
    self().finished = true;
    self().handler = nullptr;
  }
  void close() override {
    if (!self().finished) self().closed = true;
    self().handler = nullptr;
  }
  bool inputWaits() const override { return false; }
  Endpoint peer() const override { return Endpoint::parse("192.0.2.1:25").value(); }
  Endpoint local() const override { return {}; }

 private:
  Pipe::Side& self() { return pipe_.sides[side_]; }
  Pipe& pipe_;
  size_t side_;
};

}  // namespace sluice::net
