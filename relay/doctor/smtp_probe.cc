#include "relay/doctor/smtp_probe.h"

#include <fmt/format.h>

#include <utility>

#include "net/sasl/client_exchange.h"
#include "net/tcp_stream.h"
#include "net/tls/crypto.h"
#include "net/tls/tls_stream.h"
#include "relay/config/file_checks.h"
#include "relay/deliver/auth_choice.h"

namespace sluice::relay {
namespace {

using Stage = ProbeResult::Stage;

class Probe final : private net::Stream::Handler, private smtp::ClientProtocol::Handler {
 public:
  Probe(net::Loop& loop, const ProbeTarget& target, ProbeResult& result, Task on_end)
      : loop_(loop), target_(target), result_(result), on_end_(std::move(on_end)) {
    smtp::ClientOptions options;
    options.helo = target.helo;
    options.starttls = starttlsFor(target.demand.when);
    options.authenticate = target.credentials != nullptr;
    protocol_ = std::make_unique<smtp::ClientProtocol>(
        std::move(options), static_cast<smtp::ClientProtocol::Handler&>(*this));
    deadline_.onDue([this] { stop({Errc::Timeout, "no answer in time"}); });
    connector_ = std::make_unique<net::TcpConnector>(
        loop, target.endpoint, target.source, target.patience,
        [this](Result<std::unique_ptr<net::TcpStream>> stream) { onConnected(std::move(stream)); });
  }

 private:
  void onConnected(Result<std::unique_ptr<net::TcpStream>> stream) {
    if (!stream) return stop(stream.error());
    result_.local = (*stream)->local().address;
    stream_ = std::move(*stream);
    stream_->setHandler(this);
    if (target_.demand.when == TlsDemand::When::FromTheStart) return secure();
    awaitReply(Stage::Greeting);
  }

  void awaitReply(Stage stage) {
    result_.reached = stage;
    deadline_.arm(loop_.deadlines(), target_.patience);
  }

  void secure() {
    awaitReply(Stage::Tls);
    auto stream = net::TlsStream::client(loop_, std::move(stream_), target_.tls,
                                         {target_.host, target_.endpoint.port, false},
                                         [this] { onSecured(); });
    if (!stream) return stop(stream.error());
    tls_ = stream->get();
    stream_ = std::move(*stream);
    stream_->setHandler(this);
  }

  void onSecured() {
    result_.tls_version = tls_->version();
    result_.certificate = tls_->shownCertificate(target_.host);
    awaitReply(protocol_->greetingName().empty() ? Stage::Greeting : Stage::Hello);
    protocol_->tlsStarted();
    stream_->flush();
  }

  // net::Stream::Handler
  void onRead(std::string_view bytes) override {
    const uint64_t before = protocol_->repliesTaken();
    protocol_->onBytes(bytes);
    if (over_) return;
    if (result_.greeting.empty()) result_.greeting = protocol_->greetingName();
    if (result_.reached == Stage::Greeting && !result_.greeting.empty()) {
      result_.reached = Stage::Hello;
    }
    if (protocol_->repliesTaken() != before && stream_) awaitReply(result_.reached);
    if (stream_) stream_->flush();
  }
  void onEnd(const Error& why) override { stop(why); }

  // smtp::ClientProtocol::Handler
  void send(std::string_view bytes) override { stream_->write(bytes); }
  void send(Slice slice) override { stream_->write(std::move(slice)); }
  size_t unsentBytes() const override { return stream_->unsentBytes(); }
  void onStartTls() override {
    result_.starttls_offered = true;
    result_.offer = protocol_->offer();
    secure();
  }
  void onOpen(const smtp::ServerOffer& offer) override {
    result_.offer = offer;
    result_.starttls_offered |= offer.starttls;
    result_.logged_in = target_.credentials != nullptr;
    result_.reached = Stage::Done;
    end();
  }
  void onRefused(smtp::Expect stage, const smtp::Reply& reply) override {
    result_.refusal = reply;
    if (stage == smtp::Expect::Auth) result_.reached = Stage::Auth;
    stop({stage == smtp::Expect::Auth ? Errc::AuthFailed : Errc::Refused, reply.toString()});
  }
  smtp::ClientTransaction* nextTransaction() override { return nullptr; }
  void onDone(smtp::ClientTransaction&) override {}
  void onBroken(const Error& why, const std::optional<smtp::Reply>& last_word) override {
    result_.refusal = last_word;
    result_.offer = protocol_->offer();
    stop(why);
  }
  void onQuitDone() override {}
  void onContentCame() override {}

  void onAuthTurn(const smtp::ServerOffer& offer) override {
    const SendConfig& connector = *target_.credentials;
    result_.offer = offer;
    awaitReply(Stage::Auth);
    if (!tls_) return stop({Errc::TlsMissing, "no TLS, and credentials are not sent without"});
    const auto mechanism = chooseMechanism(connector.auth_mechanism, offer);
    if (!mechanism) return stop(mechanism.error());
    Result<std::string> secret = connector.password;
    if (usesToken(*mechanism) && !connector.password_file.empty()) {
      secret = readSecret(connector.password_file);
    }
    if (!secret) return stop(secret.error());
    auth_ = std::make_unique<sasl::ClientExchange>(
        *mechanism, sasl::ClientCredentials{connector.username, std::move(*secret), target_.host,
                                            target_.endpoint.port});
    protocol_->authenticate(auth_->begin());
  }
  void onChallenge(std::string_view base64) override {
    using Kind = sasl::ClientExchange::Step::Kind;
    auto step = auth_->onChallenge(base64);
    if (step.kind == Kind::NeedKeys) {  // slow, and nobody else waits for this loop
      const auto keys =
          sasl::deriveScramKeys(auth_->credentials().password, auth_->salt(), auth_->iterations());
      step = auth_->onKeys(keys.value_or(sasl::ScramKeys{}));
    }
    if (step.kind == Kind::Fail) return stop({Errc::AuthFailed, step.line});
    protocol_->answerChallenge(step.line);
  }
  bool authIsComplete() override { return auth_->complete(); }

  void stop(Error why) {
    if (!over_) result_.failure = std::move(why);
    end();
  }
  // Says goodbye where there is somebody to say it to, and tells the owner on the loop's next turn:
  // stream and protocol may be calling us.
  void end() {
    if (std::exchange(over_, true)) return;
    deadline_.cancel();
    if (stream_) {
      if (result_.reached != Stage::Tls) stream_->write(std::string_view("QUIT\r\n"));
      stream_->flush();
      stream_->finish();
    }
    loop_.defer(std::move(on_end_));
  }

  net::Loop& loop_;
  const ProbeTarget& target_;
  ProbeResult& result_;
  Task on_end_;
  std::unique_ptr<net::TcpConnector> connector_;
  std::unique_ptr<net::Stream> stream_;
  net::TlsStream* tls_ = nullptr;
  std::unique_ptr<smtp::ClientProtocol> protocol_;
  std::unique_ptr<sasl::ClientExchange> auth_;
  net::Deadline deadline_;
  bool over_ = false;
};

}  // namespace

std::vector<ProbeResult> probeAll(net::Loop& loop, const std::vector<ProbeTarget>& targets) {
  std::vector<ProbeResult> results(targets.size());
  std::vector<std::unique_ptr<Probe>> probes;
  size_t waiting = targets.size();
  for (size_t i = 0; i < targets.size(); ++i) {
    probes.push_back(std::make_unique<Probe>(loop, targets[i], results[i], [&loop, &waiting] {
      if (--waiting == 0) loop.stop();
    }));
  }
  while (waiting > 0) loop.run();
  return results;
}

}  // namespace sluice::relay
