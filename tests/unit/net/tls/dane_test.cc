#include "net/tls/dane.h"

#include <gmock/gmock.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>

#include "net/tls/crypto.h"
#include "net/tls/tls_server_context.h"
#include "net/tls/tls_stream.h"
#include "tests/unit/net/tls/tls_fakes.h"

namespace sluice::net {
namespace {

using testing::HasSubstr;

struct Listener : Stream::Handler {
  std::string bytes;
  std::optional<Error> end;
  void onRead(std::string_view more) override { bytes.append(more); }
  void onEnd(const Error& why) override { end = why; }
  void onDrained() override {}
};

std::string derOf(const MadeCertificate& made) {
  const auto parsed = *TlsCertificates::parse(made.pem());
  uint8_t* bytes = nullptr;
  const int size = i2d_X509(parsed.all().front().get(), &bytes);
  std::string der(reinterpret_cast<char*>(bytes), static_cast<size_t>(size));
  OPENSSL_free(bytes);
  return der;
}

std::string spkiOf(const MadeCertificate& made) {
  const auto parsed = *TlsCertificates::parse(made.pem());
  uint8_t* bytes = nullptr;
  const int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(parsed.all().front().get()), &bytes);
  std::string der(reinterpret_cast<char*>(bytes), static_cast<size_t>(size));
  OPENSSL_free(bytes);
  return der;
}

std::string sha256Of(const std::string& bytes) { return std::string(asView(sha256(bytes))); }

std::string sha512Of(const std::string& bytes) {
  std::array<uint8_t, SHA512_DIGEST_LENGTH> digest;
  SHA512(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(), digest.data());
  return std::string(asView(digest));
}

// A server with a certificate, a client that has been told its TLSA records.
struct Dane : testing::Test {
  std::unique_ptr<Loop> loop = std::move(*Loop::create());
  MadeCertificate anchor{"Anchor", ""};
  MadeCertificate mx{"mx", "DNS:mx.test", &anchor};
  MadeCertificate expired{"old", "DNS:mx.test", &anchor, -60};
  MadeCertificate stranger{"stranger", ""};
  const MadeCertificate* shown = &mx;
  std::shared_ptr<TicketKeys> tickets = std::make_shared<TicketKeys>();
  // That of no authority: only the records can vouch for the server.
  std::shared_ptr<TlsClientContext> client_context = *TlsClientContext::create(std::nullopt);
  Listener near, far;
  bool ready = false;
  bool resumed = false;
  PeerFault fault = PeerFault::None;

  void connect(const std::vector<TlsaRecord>& records,
               const std::vector<std::string>& names = {"mx.test"}) {
    TlsServerOptions options;
    options.identities.push_back(std::move(
        *TlsIdentity::of(*TlsCertificates::parse(shown->pem() + anchor.pem()), shown->keyPem())));
    const auto server_context = *TlsServerContext::create(options, tickets);
    near = far = Listener();
    Pipe pipe;
    ready = false;
    const TlsPeer peer{names.front(), 25, false, false, DanePolicy::of(records, names)};
    auto server =
        TlsStream::server(*loop, std::make_unique<PipeEnd>(pipe, 1), server_context, [] {});
    server->setHandler(&far);
    auto client = std::move(*TlsStream::client(*loop, std::make_unique<PipeEnd>(pipe, 0),
                                               client_context, peer, [this] { ready = true; }));
    client->setHandler(&near);
    pipe.run(*loop);
    resumed = client->resumed();
    fault = client->peerFault();
    if (!ready) return;
    server->write("220 ready\r\n");  // the tickets, too
    server->flush();
    pipe.run(*loop);
  }
  bool takes(const std::vector<TlsaRecord>& records,
             const std::vector<std::string>& names = {"mx.test"}) {
    connect(records, names);
    return ready;
  }
};

TEST_F(Dane, TakesTheServersOwnKeyOrCertificateByAnyOfItsForms) {
  EXPECT_TRUE(takes({{3, 1, 1, sha256Of(spkiOf(mx))}}));
  EXPECT_TRUE(takes({{3, 1, 2, sha512Of(spkiOf(mx))}}));
  EXPECT_TRUE(takes({{3, 1, 0, spkiOf(mx)}}));
  EXPECT_TRUE(takes({{3, 0, 1, sha256Of(derOf(mx))}}));
  EXPECT_TRUE(takes({{3, 0, 2, sha512Of(derOf(mx))}}));
  EXPECT_TRUE(takes({{3, 0, 0, derOf(mx)}}));
  EXPECT_EQ(fault, PeerFault::None);
}

TEST_F(Dane, RefusesAServerThatNoRecordNames) {
  EXPECT_FALSE(takes({{3, 1, 1, sha256Of(spkiOf(stranger))}}));
  EXPECT_EQ(fault, PeerFault::NoTlsaMatch);
  ASSERT_TRUE(near.end);
  EXPECT_EQ(near.end->code, Errc::TlsFailed);
  EXPECT_THAT(near.end->detail, HasSubstr("no TLSA record"));
  EXPECT_FALSE(takes({{3, 0, 1, sha256Of(spkiOf(mx))}}));  // a key's digest as a certificate's
}

// A new key is published beside the old one before it is used.
TEST_F(Dane, TakesAServerThatOneOfSeveralRecordsNames) {
  EXPECT_TRUE(takes({{3, 1, 1, sha256Of(spkiOf(stranger))}, {3, 1, 1, sha256Of(spkiOf(mx))}}));
}

// RFC 7672 section 3.1.1.
TEST_F(Dane, LooksAtNeitherNamesNorDatesOfTheServersOwnKey) {
  EXPECT_TRUE(takes({{3, 1, 1, sha256Of(spkiOf(mx))}}, {"other.test"}));
  shown = &expired;
  EXPECT_TRUE(takes({{3, 1, 1, sha256Of(spkiOf(expired))}}));
}

TEST_F(Dane, TakesWhatIsBelowAPublishedAnchor) {
  EXPECT_TRUE(takes({{2, 0, 1, sha256Of(derOf(anchor))}}));
  EXPECT_TRUE(takes({{2, 1, 1, sha256Of(spkiOf(anchor))}}));
  EXPECT_TRUE(takes({{2, 0, 0, derOf(anchor)}}));
  EXPECT_FALSE(takes({{2, 0, 1, sha256Of(derOf(stranger))}}));
  EXPECT_FALSE(takes({{2, 0, 0, derOf(stranger)}}));
}

// RFC 7672 section 3.1.2: below an anchor, names and dates count.
TEST_F(Dane, LooksAtNamesAndDatesBelowAnAnchor) {
  const std::vector<TlsaRecord> records{{2, 0, 1, sha256Of(derOf(anchor))}};
  EXPECT_FALSE(takes(records, {"other.test"}));
  EXPECT_EQ(fault, PeerFault::WrongName);
  EXPECT_TRUE(takes(records, {"other.test", "mx.test"}));
  shown = &expired;
  EXPECT_FALSE(takes(records));
  EXPECT_EQ(fault, PeerFault::Expired);
}

// An anchor vouches for others; the server's own certificate is DANE-EE's business.
TEST_F(Dane, TakesNoServersCertificateForItsAnchor) {
  EXPECT_FALSE(takes({{2, 1, 1, sha256Of(spkiOf(mx))}}));
}

// RFC 7671 section 9: who publishes a stronger digest must not be judged by a weaker one.
TEST_F(Dane, PassesOverWeakerDigestsWhereThereIsAStrongerOne) {
  EXPECT_FALSE(takes({{3, 1, 1, sha256Of(spkiOf(mx))}, {3, 1, 2, sha512Of(spkiOf(stranger))}}));
  EXPECT_TRUE(takes({{3, 1, 1, sha256Of(spkiOf(mx))}, {3, 0, 2, sha512Of(derOf(stranger))}}));
}

TEST_F(Dane, FindsRecordsThatNobodyCanUseUnusable) {
  const auto usable = [](const TlsaRecord& record) {
    return DanePolicy::of({record}, {"mx.test"})->usable();
  };
  const std::string digest(32, 'd');
  EXPECT_TRUE(usable({3, 1, 1, digest}));
  EXPECT_FALSE(usable({0, 1, 1, digest}));  // PKIX-TA, PKIX-EE: RFC 7672 section 3.1.3
  EXPECT_FALSE(usable({1, 1, 1, digest}));
  EXPECT_FALSE(usable({4, 1, 1, digest}));
  EXPECT_FALSE(usable({3, 2, 1, digest}));
  EXPECT_FALSE(usable({3, 1, 3, digest}));
  EXPECT_FALSE(usable({3, 1, 1, digest + "x"}));
  EXPECT_FALSE(usable({3, 1, 2, digest}));
  EXPECT_FALSE(usable({3, 1, 1, ""}));
  EXPECT_FALSE(usable({3, 0, 0, "no certificate"}));
  EXPECT_FALSE(usable({3, 1, 0, ""}));
  EXPECT_FALSE(usable({3, 0, 0, derOf(mx) + "behind it"}));
  EXPECT_FALSE(usable({3, 1, 0, spkiOf(mx).substr(1)}));
  EXPECT_FALSE(DanePolicy::of({}, {"mx.test"})->usable());
}

// Encryption is demanded all the same, which is the caller's business.
TEST_F(Dane, TakesAnyServerIfNoRecordIsUsable) { EXPECT_TRUE(takes({{1, 1, 1, "x"}})); }

TEST_F(Dane, ResumesSessionsUnderTheSameRecordsOnly) {
  const std::vector<TlsaRecord> key{{3, 1, 1, sha256Of(spkiOf(mx))}};
  connect(key);
  EXPECT_FALSE(resumed);
  connect(key);
  EXPECT_TRUE(resumed);
  connect({{3, 0, 1, sha256Of(derOf(mx))}});
  EXPECT_TRUE(ready);
  EXPECT_FALSE(resumed);
  EXPECT_FALSE(takes({{3, 1, 1, sha256Of(spkiOf(stranger))}}));
}

}  // namespace
}  // namespace sluice::net
