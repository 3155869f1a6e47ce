// The client's side of an SMTP connection: greeting, EHLO, STARTTLS, AUTH, transactions one
// behind the other, QUIT.
//
// Bytes in, bytes out, no I/O and no clock. The state of the dialogue is the queue of replies still
// owed (RFC 2920 section 3.1). Where the server offers PIPELINING, the next transaction's MAIL,
// RCPT and DATA ride behind the content of the one before; with CHUNKING too, whole transactions
// follow each other without waiting, up to a depth that grows while they are answered. One a
// connection, on its shard only.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "net/base/result.h"
#include "net/smtp/client_transaction.h"
#include "net/smtp/dot_stuffing.h"
#include "net/smtp/reply.h"
#include "net/smtp/server_offer.h"

namespace sluice::smtp {

// What the next reply answers.
enum class Expect : uint8_t {
  Greeting,
  Ehlo,
  Helo,
  StartTls,
  Auth,
  Mail,
  Rcpt,
  Data,
  Final,
  Rset,
  Quit
};

enum class StartTls : uint8_t { Never, IfOffered, Required };

struct ClientOptions {
  std::string helo;  // our name
  size_t depth = 2;  // transactions under way at once, with PIPELINING
  // The same with CHUNKING, where they need no waiting. Each one answered lets another go along, so
  // a server that is slow or breaks off early has few of them, and a long path is soon filled.
  size_t first_chunking_depth = 4;
  size_t chunking_depth = 32;
  StartTls starttls = StartTls::Never;
  bool authenticate = false;                     // before mail; no mail without
  uint64_t pipelined_content_bytes = 64 * 1024;  // larger contents wait for the RCPT replies
  size_t high_water_bytes = 512 * 1024;  // of unsent content: ask for no more until it drained
};

class ClientProtocol {
 public:
  // Where its words go and who hears of the replies. A callback may not destroy the protocol.
  class Handler {
   public:
    virtual ~Handler() = default;
    virtual void send(std::string_view bytes) = 0;
    virtual void send(Slice slice) = 0;
    virtual size_t unsentBytes() const = 0;
    // The server takes mail now.
    virtual void onOpen(const ServerOffer& offer) = 0;
    // Greeting, EHLO, HELO or AUTH was refused: no mail on this connection.
    virtual void onRefused(Expect stage, const Reply& reply) = 0;
    // The server is ready: do the handshake, then call tlsStarted(); give no bytes until then.
    virtual void onStartTls() {}
    // It is time to prove who we are: call authenticate(), at once or later; give up by abandon().
    virtual void onAuthTurn(const ServerOffer&) {}
    // 334: call answerChallenge(), at once or later ("*" to cancel).
    virtual void onChallenge(std::string_view /*base64*/) {}
    // The server takes us for ourselves. Has it, too, shown what it must?
    virtual bool authIsComplete() { return true; }
    // A transaction could start: give one, or null. It must live until onDone or abandon().
    virtual ClientTransaction* nextTransaction() = 0;
    virtual void onDone(ClientTransaction& transaction) = 0;
    // The server will close (`last_word` is its 421) or breaks the rules: use the connection no
    // more, then ask abandon() what was under way.
    virtual void onBroken(const Error& why, const std::optional<Reply>& last_word) = 0;
    virtual void onQuitDone() = 0;
    // Content that was read back has been sent, or could not be read: outside of any call, so what
    // follows every other call must be done now.
    virtual void onContentCame() = 0;
  };

  ClientProtocol(ClientOptions options, Handler& handler);

  void onBytes(std::string_view bytes);
  // New work may be there, or unsent bytes have drained.
  void pump();
  // No more transactions; QUIT once the last is done.
  void quit();
  // What was said in clear is forgotten (RFC 3207 section 4.2). Also before the greeting, where TLS
  // is implicit.
  void tlsStarted();

  // What stands behind "AUTH ", and what answers a challenge; both are secrets.
  void authenticate(std::string_view mechanism_and_message);
  void answerChallenge(std::string_view line);

  bool open() const { return state_ == State::Open; }
  const ServerOffer& offer() const { return offer_; }
  // The first word of the greeting; hostile.
  const std::string& greetingName() const { return greeting_name_; }
  // The server offered CHUNKING, or PIPELINING, but does not take it.
  void avoidChunking() { offer_.chunking = false; }
  void avoidPipelining() { offer_.pipelining = false; }
  // Replies are owed to commands that went behind others, and the server has not shown yet that it
  // takes that: if the connection fails now, PIPELINING may be why. Ask before abandon().
  bool pipeliningInDoubt() const;
  // The oldest reply that is owed; nothing while the server owes none.
  std::optional<Expect> awaited() const;
  // Counts up with every reply taken: a deadline for the next one starts anew.
  uint64_t repliesTaken() const { return replies_taken_; }
  bool sendingContent() const;
  // More content could be asked for if less of it were unsent.
  bool waitsForRoom() const;
  size_t transactionsUnderWay() const { return transactions_.size(); }
  // Under way, oldest first; the protocol forgets them. Those with content_ended may have been
  // taken by the server.
  std::deque<ClientTransaction*> abandon();

 private:
  enum class State : uint8_t { Greeting, Hello, Handshake, Authenticating, Open, Quitting, Over };
  struct Owed {
    Expect what;
    ClientTransaction* transaction = nullptr;
    size_t recipient = 0;
    bool behind = false;  // sent while an earlier reply was owed
  };

  void owe(Expect what, ClientTransaction* transaction = nullptr, size_t recipient = 0);
  void onReply(Reply reply);
  void onGreeting(const Reply& reply);
  void sayHello();
  void onHello(Expect stage, const Reply& reply);
  void onStartTlsReply(const Reply& reply);
  void onAuthReply(const Reply& reply);
  void becomeOpen();
  void onTransactionReply(const Owed& owed, Reply reply);
  void onDataReply(ClientTransaction& transaction);
  void finishIfAnswered(ClientTransaction& transaction);
  void breakOff(Errc code, std::string why, std::optional<Reply> last_word = std::nullopt);

  bool mayStart();
  size_t depth() const;
  ClientTransaction* sender();
  bool advance(ClientTransaction& transaction);
  void sendMail(ClientTransaction& transaction);
  void sendRcpt(ClientTransaction& transaction);
  bool sendData(ClientTransaction& transaction);
  bool sendContent(ClientTransaction& transaction);
  void passChunk(ClientTransaction& transaction, const std::vector<Slice>& slices);
  void endSending(ClientTransaction& transaction);

  ClientOptions options_;
  Handler& handler_;
  ReplyParser parser_;
  ServerOffer offer_;
  std::string greeting_name_;
  std::string line_;  // a command being put together
  State state_ = State::Greeting;
  std::deque<Owed> owed_;
  std::deque<ClientTransaction*> transactions_;  // oldest first; only the last may be sending
  DotStuffer stuffer_;
  uint64_t replies_taken_ = 0;
  size_t finished_ = 0;          // transactions that were answered whole
  bool takes_groups_ = false;    // a transaction sent in one group came to its end
  bool takes_more_ = false;      // so did one that was sent behind another
  bool out_of_step_ = false;     // a reply did not fit what it should answer, behind others
  bool said_goodbye_ = false;    // 421
  bool waits_for_room_ = false;  // a transaction would start if less were unsent
  bool tls_ = false;
  bool authenticated_ = false;
  bool rset_before_mail_ = false;
  bool quit_wanted_ = false;
  bool pumping_ = false;
  bool pump_again_ = false;
};

}  // namespace sluice::smtp
