// One client's connection: moves bytes between a stream and the protocol, decides what the protocol
// cannot, and hands messages to the queue.
//
// On its loop's thread. A session ends in finish(), once, and then waits for its owner to destroy
// it on a later turn of the loop. A commit that is under way is waited for even if the client is
// gone: its message is ours, and the log says so. Idle sessions hold next to nothing.
#pragma once

#include <climits>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "net/deadlines.h"
#include "net/loop.h"
#include "net/smtp/server_protocol.h"
#include "net/stream.h"
#include "net/tls/tls_stream.h"
#include "queue/queue.h"
#include "relay/accept/accept_metrics.h"
#include "relay/accept/auth_dialogue.h"
#include "relay/accept/mail_transaction.h"
#include "relay/accept/receive_settings.h"
#include "relay/accept/relay_policy.h"
#include "relay/accept/trace_header.h"
#include "relay/log/event_log.h"
#include "relay/route/router.h"
#include "relay/sign/signing_pool.h"

namespace sluice::relay {

// What all sessions of a receive connector on one shard share. Outlives them.
struct AcceptContext {
  net::Loop& loop;
  queue::ShardQueue& queue;
  EventLog& log;
  AcceptMetrics& metrics;
  // Replaced at a reload, between two turns of the loop.
  std::shared_ptr<const Router> router;
  std::shared_ptr<const DkimKeys> dkim{};  // null: nothing is signed
  SigningPool* signing = nullptr;          // there if `dkim` is
  AuthServer* auth = nullptr;              // there if a connector has users
  UserLimits* limits = nullptr;            // likewise
  int descriptors = INT_MAX;  // of clients; those above are kept for the queue and delivery
};

class ServerSession final : private net::Stream::Handler, private smtp::ServerEvents {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    // The session is over; destroy it, but not from within this call.
    virtual void onSessionOver(ServerSession& session) = 0;
    // The session speaks for another client now, who was at `before`. False: one too many of them.
    virtual bool onClientChanged(ServerSession& session, const IpAddress& before) = 0;
  };

  // Greets the client at once; with implicit TLS, when that is there. `client_known`: the stream's
  // peer is the client, and no proxy that does not say who is.
  ServerSession(AcceptContext& context, std::shared_ptr<const ReceiveSettings> settings,
                std::unique_ptr<net::Stream> stream, Owner& owner, bool client_known = true);
  ~ServerSession() override;
  ServerSession(const ServerSession&) = delete;
  ServerSession& operator=(const ServerSession&) = delete;

  // Ends as soon as no transaction is under way, with 421 4.3.2.
  void drain();
  // Ends now, with 421 4.3.2; only a commit that is under way is still answered.
  void cut();

  const Endpoint& client() const { return client_; }
  bool committing() const { return commits_under_way_ > 0; }

  // The owner's list.
  ServerSession* next = nullptr;
  ServerSession* previous = nullptr;

 private:
  enum Pause : unsigned { kOutput = 1, kCongested = 2, kAnswering = 4, kHeldBack = 8 };
  struct Link {  // what a commit's completion may still find
    ServerSession* session;
  };

  // Stream.
  void onRead(std::string_view bytes) override;
  void onEnd(const Error& why) override;
  bool onPeerFinished() override;
  void onDrained() override;

  // Protocol.
  void onHello(std::string_view name, bool extended) override;
  void onMail(const smtp::MailCommand& mail) override;
  void onRcpt(const smtp::RcptCommand& rcpt) override;
  void onContentBegin() override;
  void onContent(std::string_view clean) override;
  void onHeaderEnd(const smtp::ContentFindings& so_far) override;
  void onMessageId(std::string_view value) override;
  void onContentDropped() override;
  void onContentEnd(uint64_t ticket, const smtp::ContentFindings& findings) override;
  void onTransactionEnd() override;
  void onRefused(smtp::Verb verb, std::string_view argument,
                 const smtp::ServerReply& reply) override;
  void onBareNewlineCommand() override;
  // server_session_auth.cc
  void onAuth(const smtp::AuthCommand& auth) override;
  void onAuthResponse(std::string_view line) override;

  // server_session_auth.cc
  const User* user() const { return auth_ && auth_->user() ? auth_->user() : login_.get(); }
  const smtp::ServerReply* refusesSender(std::string_view reverse_path);
  const smtp::ServerReply* refusesRecipient();
  void watchAuthor(std::string_view clean);
  bool refuseAuthor(uint64_t ticket);

  // What a proxy says of its client: server_session_proxy.cc.
  void onXClient(const smtp::XClientCommand& said) override;
  void findLogin(const smtp::XClientCommand& said);
  void speakFor(const smtp::XClientCommand& said, std::shared_ptr<const User> login);
  RelayClient relayClient() const;
  std::string clientText() const;

  // Signatures: server_session_sign.cc.
  void beginSigning();
  void appendContent(std::string_view clean);
  void signThenCommit(uint64_t ticket, const smtp::ContentFindings& findings);
  void onSigned(uint64_t ticket, const smtp::ContentFindings& findings,
                Result<std::vector<std::string>> fields);

  void commit(uint64_t ticket, std::unique_ptr<MailTransaction> transaction,
              const smtp::ContentFindings& findings);
  void onDoubt(MessageEvent event);
  void onCommitted(uint64_t ticket, const Result<void>& result, MessageEvent event);
  void refuseRcpt(const smtp::RcptCommand& rcpt, const smtp::ServerReply& reply);
  void logRefused(std::string sender, std::string recipient, const smtp::ServerReply& reply);

  // TLS: server_session_tls.cc.
  void startTls();
  void onTlsReady();
  void onTlsDue();
  void logTlsFailed(const std::string& reason);
  void describeTls(TraceInfo& info) const;
  bool trustedByCertificate() const;

  void afterInput();
  bool sendOutput();
  bool awaitsInput() const;
  bool holdsBack();
  void setPaused(Pause reason, bool paused);
  void onRelieved();
  void noteProgress();
  SteadyTime due() const;
  void armDeadline(SteadyTime at);
  void onDeadline();
  void finish();

  AcceptContext& context_;
  const std::shared_ptr<const ReceiveSettings> settings_;
  std::unique_ptr<net::Stream> stream_;
  net::TlsStream* tls_ = nullptr;  // stream_, once it is one
  Owner& owner_;
  Endpoint client_;  // whom the session is for; all zero if that is not known
  bool client_known_;
  bool spoken_for_ = false;  // by XCLIENT
  std::string client_name_;  // as a proxy says
  std::string hello_;
  smtp::ServerProtocol protocol_;
  std::unique_ptr<AuthDialogue> auth_;
  std::shared_ptr<const User> login_;  // as a proxy says
  std::unique_ptr<MailTransaction> transaction_;
  std::map<uint64_t, std::unique_ptr<MailTransaction>> signing_;  // wait for signatures, by ticket
  std::shared_ptr<Link> link_;
  net::Deadline deadline_;
  net::Deadline held_back_;  // replies to one who errs again and again
  uint64_t errors_answered_ = 0;
  SteadyTime waiting_since_;  // for the client: a command, or the content that is coming
  SteadyTime content_since_{};
  SteadyTime armed_for_{};
  SteadyTime paused_since_{};
  SteadyTime handshake_due_{};
  uint64_t content_bytes_in_ = 0;
  uint64_t commands_seen_ = 0;
  unsigned paused_ = 0;
  smtp::ServerProtocol::Phase last_phase_;
  bool had_partial_command_ = false;
  bool feeding_ = false;  // the protocol is being fed; what follows is done after that
  size_t commits_under_way_ = 0;
  bool handshaking_ = false;
  bool client_gone_ = false;
  bool client_finished_ = false;  // will send no more, and waits for its replies
  bool over_ = false;
};

}  // namespace sluice::relay
