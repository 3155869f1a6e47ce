// One connection to a destination: find a host that answers, greet, carry transactions, part.
//
// Tries the hosts in order and each host's addresses, skipping those that rest. On its shard only.
// The owner drops the session after onEnd (on the loop's next turn: calls may be on the stack).
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/sasl/client_exchange.h"
#include "net/smtp/client_protocol.h"
#include "net/tcp_stream.h"
#include "net/tls/tls_stream.h"
#include "relay/deliver/delivery.h"
#include "relay/deliver/delivery_context.h"
#include "relay/deliver/next_hops.h"

namespace sluice::relay {

class ClientSession final : private net::Stream::Handler, private smtp::ClientProtocol::Handler {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    // Work for an open session, or null.
    virtual std::unique_ptr<Delivery> nextDelivery(ClientSession& session,
                                                   size_t max_recipients) = 0;
    virtual void onSessionOpen(ClientSession& session) = 0;
    virtual void onSessionIdle(ClientSession& session) = 0;
    // All replies are in.
    virtual void onDone(ClientSession& session, std::unique_ptr<Delivery> delivery) = 0;
    // The host lacks what the message needs.
    virtual void onUnfit(ClientSession& session, std::unique_ptr<Delivery> delivery,
                         const Verdict& verdict) = 0;
    virtual void onBroken(ClientSession& session, std::unique_ptr<Delivery> delivery,
                          const Break& how) = 0;
    // Once, last. `failure` is set if it never opened or broke; not if it parted in order.
    virtual void onEnd(ClientSession& session, const std::optional<Error>& failure) = 0;
  };

  enum class State : uint8_t { Resolving, Connecting, Securing, Greeting, Open, Quitting, Ended };

  ClientSession(DeliveryContext& context, std::shared_ptr<const HopSet> hops, Owner& owner);
  ~ClientSession() override;

  void start();
  void pump();  // there may be work
  void quit();  // when the transactions under way are done; at once if it is not open
  void abort(const Error& why);

  State state() const { return state_; }
  bool wasOpen() const { return was_open_; }
  bool idle() const { return state_ == State::Open && deliveries_.empty(); }
  size_t served() const { return served_; }
  size_t underWay() const { return deliveries_.size(); }
  // The oldest transaction under way has had no answer for a while: the path is long.
  bool waitsLong() const;
  const std::string& hostName() const { return host_.name; }
  const Endpoint& endpoint() const { return endpoint_; }
  // "TLSv1.3", or empty; with the published policy that it kept, "TLSv1.3 dane";
  // " requiretls" where the messages demand that.
  std::string tlsText() const;
  bool passesDsn() const { return protocol_ && protocol_->offer().dsn; }

 private:
  // Finding a host.
  void nextHost();
  void onAddresses(Result<net::AddressAnswer> answer);
  void nextAddress();
  void connect();
  void onConnected(Result<std::unique_ptr<net::TcpStream>> stream);
  void hostFailed(Error why);
  bool mayConnect(const Endpoint& to);
  bool isOwnListener(const Endpoint& to) const;
  bool isOwnName(std::string_view name) const;
  void noteFailure(Error why);
  std::string who() const;

  // net::Stream::Handler
  void onRead(std::string_view bytes) override;
  void onEnd(const Error& why) override;
  void onDrained() override;

  // smtp::ClientProtocol::Handler
  void send(std::string_view bytes) override;
  void send(Slice slice) override;
  size_t unsentBytes() const override;
  void onStartTls() override;
  void onOpen(const smtp::ServerOffer& offer) override;
  void onRefused(smtp::Expect stage, const smtp::Reply& reply) override;
  smtp::ClientTransaction* nextTransaction() override;
  void onDone(smtp::ClientTransaction& transaction) override;
  void onBroken(const Error& why, const std::optional<smtp::Reply>& last_word) override;
  void onQuitDone() override;
  void onContentCame() override;

  // AUTH: client_session_auth.cc.
  void onAuthTurn(const smtp::ServerOffer& offer) override;
  void onChallenge(std::string_view base64) override;
  bool authIsComplete() override;
  void readToken();
  std::shared_ptr<const OAuthSource> oauthSource() const;
  void askForToken(std::shared_ptr<const OAuthSource> source);
  bool mayTryNewToken(const smtp::Reply& reply);
  void beginAuth(Result<std::string> secret);
  void takeStep(sasl::ClientExchange::Step step);
  void makeKeys();
  void onKeys(std::pair<std::string, sasl::ScramKeys> made);
  Error authFailure(std::string_view why) const;
  template <class Value, class Work>
  void offLoop(Work work, void (ClientSession::*then)(Value));

  // TLS: client_session_tls.cc.
  bool mayHaveTlsa(const net::AddressAnswer& answer) const;
  void askForTlsa(std::vector<std::string> bases);
  void onTlsa(Result<net::TlsaAnswer> answer);
  TlsDemand demandOf(const HopHost& host) const;
  bool mayUseHost();
  void beginProtocol();
  void secure();
  void onSecured();
  void onTlsFailed(const Error& why);
  void countPolicy(bool kept);
  void onPolicyBroken(Error& why);
  // What is reported to the domain: client_session_report.cc.
  void noteTls(TlsResult::Type type, const std::string& reason = {});
  void noteTlsSuccess();
  void noteTlsFailure(const Error& why);
  void noteTlsa(const std::string& base, const std::vector<net::TlsaRecord>& records);

  void afterActivity();
  void watch();
  void onDeadline();
  Duration patienceFor(smtp::Expect what) const;
  void fail(const Error& why);
  void judgePipelining(const Error& failure);
  void noteQuirk(HostQuirks::Extension extension);
  void end(const std::optional<Error>& failure);

  DeliveryContext& context_;
  std::shared_ptr<const HopSet> hops_;
  Owner& owner_;
  State state_ = State::Resolving;
  bool was_open_ = false;

  std::vector<HopHost> hosts_;
  size_t next_host_ = 0;
  HopHost host_;
  std::vector<IpAddress> addresses_;
  size_t next_address_ = 0;
  size_t addresses_tried_ = 0;
  Endpoint endpoint_;
  std::optional<Error> failure_;  // the one to report if no host answers
  std::unique_ptr<net::Lookup> lookup_;
  std::unique_ptr<net::TcpConnector> connector_;
  std::unique_ptr<net::Stream> stream_;
  net::TlsStream* tls_ = nullptr;  // stream_, once it is one
  std::unique_ptr<net::Lookup> tlsa_lookup_;
  std::vector<std::string> tlsa_bases_;  // names whose TLSA records are still to be asked for
  size_t tlsa_turn_ = 0;                 // which of the questions is the latest
  std::shared_ptr<const net::DanePolicy> dane_;  // of the host
  std::vector<std::string> tlsa_lines_;          // its records in words, if they are reported
  TlsDemand demand_;
  bool again_in_clear_ = false;  // the same address once more
  std::unique_ptr<smtp::ClientProtocol> protocol_;
  std::optional<sasl::ClientMechanism> mechanism_;    // of the AUTH that is under way or was done
  std::unique_ptr<sasl::ClientExchange> auth_;        // while it is under way
  std::shared_ptr<const OAuthSource> kept_token_;     // `auth_` uses one that it was given before
  bool again_with_token_ = false;                     // the same address once more, with a new one
  std::deque<std::unique_ptr<Delivery>> deliveries_;  // under way, oldest first
  size_t served_ = 0;                                 // begun
  size_t answered_ = 0;                               // to the end
  bool plain_ = false;  // without PIPELINING, which the host seems not to master
  bool goodbye_ = false;

  net::Deadline deadline_;
  uint64_t watched_ = 0;       // which wait the deadline is armed for
  uint64_t bytes_queued_ = 0;  // all that was ever given to the stream
  uint64_t progress_seen_ = 0;
  std::optional<Error> break_;  // said by the protocol while it was being called
  std::shared_ptr<char> alive_ = std::make_shared<char>();  // for work deferred to the next turn
};

}  // namespace sluice::relay
