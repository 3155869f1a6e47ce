#include "net/tls/tls_stream.h"

#include <gmock/gmock.h>
#include <openssl/ssl.h>

#include <functional>

#include "tests/unit/net/tls/tls_fakes.h"

namespace sluice::net {
namespace {

using testing::HasSubstr;

struct Recorder : Stream::Handler {
  std::string bytes;
  std::optional<Error> end;
  int drained = 0;
  int reads = 0;
  std::function<void()> on_read;
  void onRead(std::string_view more) override {
    bytes.append(more);
    ++reads;
    if (on_read) on_read();
  }
  void onEnd(const Error& why) override { end = why; }
  void onDrained() override { ++drained; }
};

TlsIdentity identityOf(const MadeCertificate& made) {
  return std::move(*TlsIdentity::of(*TlsCertificates::parse(made.pem()), made.keyPem()));
}

struct TlsStreams : testing::Test {
  std::unique_ptr<Loop> loop = std::move(*Loop::create());
  MadeCertificate authority{"Test CA", ""};
  MadeCertificate mx{"mx", "DNS:mx.test,DNS:*.wild.test,IP:192.0.2.1", &authority};
  MadeCertificate other{"other", "DNS:other.test", &authority};
  std::shared_ptr<TicketKeys> tickets = std::make_shared<TicketKeys>();
  std::shared_ptr<const TlsServerContext> server_context = serverContext();
  std::shared_ptr<TlsClientContext> client_context =
      *TlsClientContext::create(*TlsCertificates::parse(authority.pem()));
  std::unique_ptr<Pipe> pipe = std::make_unique<Pipe>();
  Recorder near, far;
  std::unique_ptr<TlsStream> client, server;
  int ready = 0;

  std::shared_ptr<const TlsServerContext> serverContext(
      bool ask_clients = false, std::vector<Sha256Digest> fingerprints = {}) {
    TlsServerOptions options;
    options.identities.push_back(identityOf(mx));
    options.identities.push_back(identityOf(other));
    options.scope = "apps";
    if (ask_clients) options.client_ca = *TlsCertificates::parse(authority.pem());
    options.client_fingerprints = std::move(fingerprints);
    return *TlsServerContext::create(options, tickets);
  }

  void makeServer() {
    server = TlsStream::server(*loop, std::make_unique<PipeEnd>(*pipe, 1), server_context,
                               [this] { ++ready; });
    server->setHandler(&far);
  }
  void makeClient(const TlsPeer& peer) {
    client = std::move(*TlsStream::client(*loop, std::make_unique<PipeEnd>(*pipe, 0),
                                          client_context, peer, [this] { ++ready; }));
    client->setHandler(&near);
  }
  void startAnew() {
    client.reset();
    server.reset();
    pipe = std::make_unique<Pipe>();
    near = Recorder();
    far = Recorder();
    ready = 0;
    makeServer();
  }
  // A fresh connection, its handshake done as far as it will go.
  void connect(const TlsPeer& peer = {"mx.test", 25, true}, size_t segment = std::string::npos) {
    startAnew();
    makeClient(peer);
    pipe->run(*loop, segment);
    // BoringSSL sends tickets with the first thing that is said under TLS.
    if (ready == 2) say(*server, "220 ready\r\n");
    near.bytes.clear();
  }
  void say(TlsStream& stream, std::string_view text) {
    stream.write(text);
    stream.flush();
    pipe->run(*loop);
  }
};

TEST_F(TlsStreams, CarryBytesBothWaysOnceTheHandshakeIsDone) {
  connect();
  EXPECT_EQ(ready, 2);
  EXPECT_EQ(client->version(), "TLSv1.3");
  EXPECT_EQ(server->version(), "TLSv1.3");
  EXPECT_THAT(std::string(server->cipher()), testing::StartsWith("TLS_"));
  EXPECT_FALSE(server->resumed());
  say(*client, "EHLO client\r\n");
  EXPECT_EQ(far.bytes, "EHLO client\r\n");
  say(*server, "250 server\r\n");
  EXPECT_EQ(near.bytes, "250 server\r\n");
}

TEST_F(TlsStreams, PassInSegmentsOfOneByte) {
  connect({"mx.test", 25, true}, 1);
  ASSERT_EQ(ready, 2);
  client->write("one byte at a time");
  client->flush();
  pipe->run(*loop, 1);
  EXPECT_EQ(far.bytes, "one byte at a time");
}

TEST_F(TlsStreams, SendWhatWasWrittenBeforeTheHandshakeOnlyUnderTls) {
  makeServer();
  server->write("220 early\r\n");
  server->flush();
  EXPECT_EQ(pipe->sides[1].sent, 0u);
  makeClient({"mx.test", 25, true});
  pipe->run(*loop);
  EXPECT_EQ(near.bytes, "220 early\r\n");
}

TEST_F(TlsStreams, GiveManyRecordsInOneRead) {
  connect();
  for (int i = 0; i < 10; ++i) {
    client->write("line\r\n");
    client->flush();
  }
  pipe->run(*loop);
  EXPECT_EQ(far.bytes.size(), 60u);
  EXPECT_EQ(far.reads, 1);
}

TEST_F(TlsStreams, ResumeSessionsWithTheSamePeerAndDemandOnly) {
  connect();
  connect();
  EXPECT_TRUE(client->resumed());
  EXPECT_TRUE(server->resumed());
  connect({"mx.test", 25, false});
  EXPECT_FALSE(client->resumed());
  connect({"other.test", 25, true});
  EXPECT_FALSE(client->resumed());
}

TEST_F(TlsStreams, ResumeAfterTheCertificatesWereReplaced) {
  connect();
  server_context = serverContext();
  connect();
  EXPECT_TRUE(server->resumed());
}

TEST_F(TlsStreams, ShowTheCertificateForTheNameThatIsAskedFor) {
  connect({"other.test", 25, true});
  EXPECT_EQ(ready, 2);
  connect({"a.wild.test", 25, true});
  EXPECT_EQ(ready, 2);
}

TEST_F(TlsStreams, RefuseACertificateForAnotherName) {
  connect({"third.test", 25, true});
  EXPECT_EQ(ready, 0);
  ASSERT_TRUE(near.end);
  EXPECT_EQ(near.end->code, Errc::TlsFailed);
  EXPECT_THAT(near.end->detail, HasSubstr("Hostname mismatch"));
  ASSERT_TRUE(far.end);
  EXPECT_EQ(far.end->code, Errc::TlsFailed);  // it was told by an alert
}

// For a policy that is only tested: what is wrong is seen, and changes nothing.
TEST_F(TlsStreams, LookAtACertificateWithoutDemandingAnythingOfIt) {
  connect({"third.test", 25, false, true});
  EXPECT_EQ(ready, 2);
  EXPECT_EQ(client->peerFault(), PeerFault::WrongName);
  connect({"mx.test", 25, false, true});
  EXPECT_EQ(client->peerFault(), PeerFault::None);
  client_context = *TlsClientContext::create(std::nullopt);
  connect({"mx.test", 25, false, true});
  EXPECT_EQ(ready, 2);
  EXPECT_EQ(client->peerFault(), PeerFault::Untrusted);
}

// RFC 9525 section 6.3: a wildcard stands for one label; the common name for nothing.
TEST_F(TlsStreams, TakeWildcardsForOneLabelAndNoCommonName) {
  connect({"a.b.wild.test", 25, true});
  EXPECT_EQ(ready, 0);
  connect({"wild.test", 25, true});
  EXPECT_EQ(ready, 0);
  connect({"mx", 25, true});
  EXPECT_EQ(ready, 0);
  const MadeCertificate named{"plain.test", "", &authority};
  TlsServerOptions options;
  options.identities.push_back(identityOf(named));
  server_context = *TlsServerContext::create(options, tickets);
  connect({"plain.test", 25, true});
  EXPECT_EQ(ready, 0);
}

TEST_F(TlsStreams, CheckAddressesAgainstAddressNames) {
  connect({"192.0.2.1", 25, true});
  EXPECT_EQ(ready, 2);
  connect({"192.0.2.2", 25, true});
  EXPECT_EQ(ready, 0);
}

TEST_F(TlsStreams, RefuseAnAuthorityNobodyKnowsUnlessAnyCertificateWillDo) {
  client_context = *TlsClientContext::create(std::nullopt);
  connect();
  EXPECT_EQ(ready, 0);
  EXPECT_EQ(near.end->code, Errc::TlsFailed);
  connect({"mx.test", 25, false});
  EXPECT_EQ(ready, 2);
}

TEST_F(TlsStreams, RefuseAnExpiredCertificate) {
  const MadeCertificate old{"old", "DNS:old.test", &authority, -60};
  TlsServerOptions options;
  options.identities.push_back(identityOf(old));
  server_context = *TlsServerContext::create(options, tickets);
  EXPECT_LT(server_context->expiry(), Clock::system().wall());
  connect({"old.test", 25, true});
  EXPECT_EQ(ready, 0);
  EXPECT_THAT(near.end->detail, HasSubstr("expired"));
}

TEST_F(TlsStreams, SayCloseNotifyAtTheEnd) {
  connect();
  client->write("QUIT\r\n");
  client->finish();
  pipe->run(*loop);
  EXPECT_EQ(far.bytes, "QUIT\r\n");
  ASSERT_TRUE(far.end);
  EXPECT_EQ(far.end->detail, "closed by the far end");
}

TEST_F(TlsStreams, TellOfATruncatedConnection) {
  connect();
  pipe->sides[0].closed = true;
  pipe->run(*loop);
  ASSERT_TRUE(far.end);
  EXPECT_EQ(far.end->detail, "the pipe ended");
}

TEST_F(TlsStreams, EndAtGarbageInsteadOfAHandshake) {
  for (const std::string& garbage :
       {std::string("EHLO client\r\nMAIL FROM:<a@b>\r\n"), std::string(5, '\xff'),
        std::string("\x16\x03\x01\xff\xff", 5), std::string("\x16\x03\x01\x00\x00", 5) + "x"}) {
    startAnew();
    pipe->sides[0].in_flight = garbage;
    pipe->run(*loop);
    pipe->sides[0].closed = true;
    pipe->run(*loop);
    EXPECT_EQ(ready, 0);
    ASSERT_TRUE(far.end);
    EXPECT_TRUE(far.bytes.empty());
    EXPECT_TRUE(pipe->sides[1].finished);
  }
}

// A hello that claims to be huge, in records of one byte: it ends long before it is all there.
TEST_F(TlsStreams, EndAHugeHandshakeWithinItsBound) {
  makeServer();
  const std::string start("\x16\x03\x01\x00\x04\x01\xff\xff\xff", 9);
  pipe->sides[0].in_flight = start;
  size_t records = 0;
  while (!far.end && records < 100'000) {
    pipe->sides[0].in_flight += std::string("\x16\x03\x01\x00\x01z", 6);
    pipe->run(*loop);
    ++records;
  }
  ASSERT_TRUE(far.end);
  EXPECT_EQ(far.end->code, Errc::TlsFailed);
  EXPECT_LT(records, 100u);
}

TEST_F(TlsStreams, EndWhenTheHandshakeIsCutOff) {
  makeServer();
  makeClient({"mx.test", 25, true});
  pipe->move(0);
  pipe->sides[0].closed = true;
  pipe->run(*loop);
  ASSERT_TRUE(far.end);
  EXPECT_EQ(far.end->code, Errc::Closed);
  EXPECT_THAT(far.end->detail, HasSubstr("during the TLS handshake"));
}

TEST_F(TlsStreams, EndWhenRecordsAreTamperedWith) {
  connect();
  client->write("secret");
  client->flush();
  pipe->sides[0].in_flight.back() ^= 1;
  pipe->run(*loop);
  EXPECT_TRUE(far.bytes.empty());
  ASSERT_TRUE(far.end);
  EXPECT_EQ(far.end->code, Errc::Reset);
}

TEST_F(TlsStreams, HearNothingWhilePausedAndAllOfItLater) {
  connect();
  const std::string text(300'000, 't');
  far.on_read = [this] {
    if (far.reads == 1) server->pauseReading();
  };
  client->write(text);
  client->flush();
  pipe->run(*loop);
  EXPECT_EQ(far.reads, 1);
  EXPECT_LT(far.bytes.size(), text.size());
  const size_t before = far.bytes.size();
  server->resumeReading();
  EXPECT_EQ(far.bytes.size(), before) << "resumeReading() must not call back";
  pipe->run(*loop);
  EXPECT_EQ(far.bytes, text);
}

TEST_F(TlsStreams, SealNotFarAheadOfASlowStream) {
  connect();
  pipe->sides[1].paused = true;
  const std::string text(4 << 20, 's');
  const BlockRef block = Block::copyOf(text);
  client->write(Slice{block, block->view()});
  client->flush();
  EXPECT_LT(pipe->sides[0].sent, TcpStream::kLowWaterBytes + 64 * 1024);
  EXPECT_GE(client->unsentBytes(), text.size());
  pipe->sides[1].paused = false;
  pipe->run(*loop);
  EXPECT_EQ(far.bytes.size(), text.size());
  EXPECT_EQ(client->unsentBytes(), 0u);
  EXPECT_EQ(near.drained, 1);
}

TEST_F(TlsStreams, AskForACertificateAndGoOnWithoutOne) {
  server_context = serverContext(true);
  connect();
  EXPECT_EQ(ready, 2);
  EXPECT_FALSE(server->trustedClient());
}

// What OpenSSL's clients do, spoken by BoringSSL itself: settings that ours never uses.
struct RawClient {
  bssl::UniquePtr<SSL_CTX> context{SSL_CTX_new(TLS_method())};
  bssl::UniquePtr<SSL> ssl;
  BIO* in = BIO_new(BIO_s_mem());
  BIO* out = BIO_new(BIO_s_mem());
  Pipe& pipe;
  Loop& loop;

  RawClient(Pipe& over, Loop& on, const std::function<void(SSL_CTX*)>& prepare)
      : pipe(over), loop(on) {
    prepare(context.get());
    ssl.reset(SSL_new(context.get()));
    SSL_set_connect_state(ssl.get());
    SSL_set_bio(ssl.get(), in, out);
  }
  int step(const std::function<int()>& act) {
    int result = -1;
    for (int i = 0; i < 8 && result != 1; ++i) {
      result = act();
      const uint8_t* bytes = nullptr;
      size_t size = 0;
      BIO_mem_contents(out, &bytes, &size);
      pipe.sides[0].in_flight.append(reinterpret_cast<const char*>(bytes), size);
      BIO_reset(out);
      pipe.run(loop);
      BIO_write(in, pipe.sides[1].in_flight.data(),
                static_cast<int>(pipe.sides[1].in_flight.size()));
      pipe.sides[1].in_flight.clear();
    }
    return result;
  }
  int shakeHands() {
    pipe.sides[0].paused = true;  // what comes is taken by step()
    return step([this] { return SSL_do_handshake(ssl.get()); });
  }
};

TEST_F(TlsStreams, SpeakTls12AndNothingOlder) {
  makeServer();
  RawClient with12(*pipe, *loop, [](SSL_CTX* context) {
    SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
  });
  EXPECT_EQ(with12.shakeHands(), 1);
  EXPECT_EQ(server->version(), "TLSv1.2");
  EXPECT_THAT(std::string(server->cipher()), HasSubstr("ECDHE"));

  startAnew();
  RawClient with11(*pipe, *loop, [](SSL_CTX* context) {
    SSL_CTX_set_min_proto_version(context, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(context, TLS1_1_VERSION);
  });
  EXPECT_NE(with11.shakeHands(), 1);
  EXPECT_EQ(ready, 0);
}

TEST_F(TlsStreams, RefuseWhoSpeaksAnotherProtocol) {
  makeServer();
  RawClient http(*pipe, *loop, [](SSL_CTX* context) {
    SSL_CTX_set_alpn_protos(context, reinterpret_cast<const uint8_t*>("\x02h2\x08http/1.1"), 12);
  });
  EXPECT_NE(http.shakeHands(), 1);
  ASSERT_TRUE(far.end);
  startAnew();
  RawClient smtp(*pipe, *loop, [](SSL_CTX* context) {
    SSL_CTX_set_alpn_protos(context, reinterpret_cast<const uint8_t*>("\x02h2\x04smtp"), 8);
  });
  EXPECT_EQ(smtp.shakeHands(), 1);
}

// What a client needs to show a certificate and to come back with a ticket.
std::function<void(SSL_CTX*)> with(const MadeCertificate& made) {
  return [&made](SSL_CTX* context) {
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT);
    SSL_CTX_use_certificate(context, TlsCertificates::parse(made.pem())->all().front().get());
    const auto identity = TlsIdentity::of(*TlsCertificates::parse(made.pem()), made.keyPem());
    SSL_CTX_use_PrivateKey(context, identity->key());
  };
}

TEST_F(TlsStreams, KnowAClientByItsCertificate) {
  const MadeCertificate friendly{"app", "DNS:app.test", &authority};
  const MadeCertificate stranger{"app", "DNS:app.test"};
  server_context = serverContext(true);
  makeServer();
  RawClient good(*pipe, *loop, with(friendly));
  ASSERT_EQ(good.shakeHands(), 1);
  EXPECT_TRUE(server->trustedClient());

  startAnew();
  RawClient bad(*pipe, *loop, with(stranger));
  ASSERT_EQ(bad.shakeHands(), 1);
  EXPECT_TRUE(server->ready());
  EXPECT_FALSE(server->trustedClient());
}

Sha256Digest fingerprintOf(const MadeCertificate& made) {
  uint8_t* der = nullptr;
  const int size = i2d_X509(TlsCertificates::parse(made.pem())->all().front().get(), &der);
  const bssl::UniquePtr<uint8_t> owned(der);
  return sha256(asView({der, static_cast<size_t>(size)}));
}

TEST_F(TlsStreams, KnowAClientByTheFingerprintOfItsCertificate) {
  const MadeCertificate pinned{"app", "DNS:app.test"};  // of no authority
  const MadeCertificate stranger{"app", "DNS:app.test"};
  const MadeCertificate of_authority{"app", "DNS:app.test", &authority};
  server_context = serverContext(false, {fingerprintOf(pinned)});
  makeServer();
  RawClient good(*pipe, *loop, with(pinned));
  ASSERT_EQ(good.shakeHands(), 1);
  EXPECT_TRUE(server->trustedClient());
  for (const MadeCertificate* other : {&stranger, &of_authority}) {
    startAnew();
    RawClient bad(*pipe, *loop, with(*other));
    ASSERT_EQ(bad.shakeHands(), 1);
    EXPECT_FALSE(server->trustedClient());
  }
  server_context = serverContext(true, {fingerprintOf(pinned)});
  for (const MadeCertificate* either : {&pinned, &of_authority}) {
    startAnew();
    RawClient client_with(*pipe, *loop, with(*either));
    ASSERT_EQ(client_with.shakeHands(), 1);
    EXPECT_TRUE(server->trustedClient());
  }
}

// RFC 9266 section 2: both ends make the same of their connection, and of no other.
TEST_F(TlsStreams, GiveBothEndsTheSameToBindTo) {
  connect();
  const auto first = server->exporter();
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(first->size(), 32u);
  EXPECT_EQ(client->exporter(), first);
  connect();
  EXPECT_NE(server->exporter(), first);
  startAnew();
  RawClient client12(*pipe, *loop, [](SSL_CTX* context) {
    SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
  });
  ASSERT_EQ(client12.shakeHands(), 1);
  EXPECT_FALSE(server->exporter().has_value());
}

TEST_F(TlsStreams, RefuseRenegotiation) {
  makeServer();
  RawClient client12(*pipe, *loop, [](SSL_CTX* context) {
    SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
  });
  ASSERT_EQ(client12.shakeHands(), 1);
  // BoringSSL's client cannot ask for one: a HelloRequest from a server and a ClientHello in place
  // of data are the same handshake records, which nobody may send now.
  SSL_write(client12.ssl.get(), "x", 1);
  pipe->sides[0].in_flight = std::string("\x16\x03\x03\x00\x04\x01\x00\x00\x00", 9);
  pipe->run(*loop);
  ASSERT_TRUE(far.end);
}

}  // namespace
}  // namespace sluice::net
