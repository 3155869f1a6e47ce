// The server's side of an SMTP session: bytes in, events out; replies in, bytes out.
//
// No I/O and no clock. Commands may come pipelined in any segmentation; each is answered in order,
// and all replies to one piece of input are collected for one write. What the protocol can judge
// alone (syntax, sequence, limits, the form of content) it answers itself; the rest is an event
// that the owner answers by reply(), at once or later. Until then nothing more is consumed, with
// one exception: while a content is being made durable, transactions that are pipelined behind it
// are taken in, and their replies kept back behind its own. One a session, used on its shard only.
// RFC 5321, RFC 2920 (pipelining), RFC 3030 (BDAT).
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "net/smtp/command.h"
#include "net/smtp/content_reader.h"
#include "net/smtp/status_code.h"
#include "net/smtp/xclient.h"

namespace sluice::smtp {

struct ServerReply {
  int code = 0;
  EnhancedStatusCode status;  // all zero: none is written
  std::string_view text;      // one line, ours
};

enum class AuthOffer { None, UnderTls, Always };

// What one session offers and how far it goes.
struct ServerSettings {
  std::string hostname;
  uint64_t max_message_bytes = 50ull << 20;
  int max_recipients = 1000;  // in a transaction
  int max_errors = 20;        // then 421
  unsigned max_received = 50;
  bool reject_bare_newlines = false;
  bool starttls = false;
  bool starttls_required = false;  // before MAIL
  AuthOffer auth = AuthOffer::None;
  bool auth_required = false;   // before MAIL
  std::string auth_mechanisms;  // "PLAIN LOGIN"
  // Those that are offered beside them where a channel can be bound to: "SCRAM-SHA-256-PLUS".
  std::string auth_mechanisms_bound;
};

// Told what the client does. What a command views is valid during the call only.
class ServerEvents : public ContentSink {
 public:
  virtual void onHello(std::string_view name, bool extended) = 0;
  virtual void onMail(const MailCommand& mail) = 0;  // answer it
  virtual void onRcpt(const RcptCommand& rcpt) = 0;  // answer it
  // DATA or the first BDAT was taken; onContent() and onHeaderEnd() follow.
  virtual void onContentBegin() = 0;
  // The content will be refused: what came of it can be dropped. onTransactionEnd() comes later.
  virtual void onContentDropped() = 0;
  // The content is whole and good, which ends the transaction: commit it, then give the ticket
  // back with replyToContent(). Others may come meanwhile.
  virtual void onContentEnd(uint64_t ticket, const ContentFindings& findings) = 0;
  // The transaction is over without a message: RSET, EHLO, or refused content.
  virtual void onTransactionEnd() = 0;
  // The protocol itself refused MAIL, RCPT or content (then `verb` is Data or Bdat).
  virtual void onRefused(Verb verb, std::string_view argument, const ServerReply& reply) = 0;
  virtual void onBareNewlineCommand() {}
  // 220 is written. Send it, do the handshake, then call tlsStarted(); feed nothing until then.
  virtual void onStartTls() {}
  virtual void onAuth(const AuthCommand&) {}        // answer it, or challenge()
  virtual void onAuthResponse(std::string_view) {}  // a line, base64 or "*"; as onAuth
  virtual void onXClient(const XClientCommand&) {}  // answer it, or restart()
};

class ServerProtocol {
 public:
  enum class Phase : uint8_t {
    Ungreeted,
    Command,    // waits for a command line
    Content,    // in the middle of content
    Answering,  // waits for our owner's reply before it goes on
    Handshake,  // STARTTLS was answered
    Closing,    // send what output() holds, then close
  };

  // Both outlive the protocol.
  ServerProtocol(const ServerSettings& settings, ServerEvents& events)
      : settings_(settings), events_(events) {}
  ServerProtocol(const ServerProtocol&) = delete;
  ServerProtocol& operator=(const ServerProtocol&) = delete;

  // The greeting. Bytes fed before it are early talk, and end the session with 554.
  void greet();
  void feed(std::string_view bytes);
  // Goes on with what is buffered, after output() was taken while hasMore() said so.
  void resume();

  // Answers the event that waits; goes on with what is buffered. 421 ends the session.
  void reply(const ServerReply& reply);
  // Answers a content; its reply leaves when those of all contents before it have.
  void replyToContent(uint64_t ticket, const ServerReply& reply);
  void challenge(std::string_view base64);  // 334, in an AUTH exchange
  // `bound`: the exchange of credentials can be bound to the connection.
  void tlsStarted(bool bound = false);
  void authenticated() { authenticated_ = true; }
  // This client may speak for others; EHLO offers XCLIENT.
  void permitXClient() { xclient_ = true; }
  // Answers XCLIENT: with a greeting, as to a new client. `hello` says that it has said EHLO (true)
  // or HELO (false) already; `known` that it has authenticated.
  void restart(std::optional<bool> hello, bool known);
  // Writes a last reply out of turn (421) and ends the session. Nothing if it is closing.
  void shutDown(const ServerReply& reply);
  // Ends the session with 421 4.3.2 as soon as no transaction is under way.
  void drain();

  // Bytes to be sent, and that they were.
  std::string_view output() const { return output_; }
  void outputTaken();

  Phase phase() const;
  bool inTransaction() const { return has_mail_; }
  // Contents wait for our owner's reply, whether or not more is taken in meanwhile.
  bool owesReplies() const { return !owed_.empty(); }
  bool tls() const { return tls_; }
  bool extended() const { return extended_; }  // EHLO, not HELO
  // Input waits although nobody has to answer first: output() became too much.
  bool hasMore() const;
  size_t bufferedBytes() const { return carry_.size() - carry_at_; }
  // A command line has begun and is not whole.
  bool partialCommand() const;
  uint64_t commands() const { return commands_; }  // whole ones so far
  uint64_t errors() const { return errors_; }      // since the last message

 private:
  enum class Mode : uint8_t { Command, SkipLine, Content, Chunk, AuthResponse, Handshake };
  enum class Expect : uint8_t { Nothing, Mail, Rcpt, Auth, XClient };
  // The reply to a content, and behind it those to what was pipelined behind that content.
  struct Owed {
    uint64_t ticket;
    bool answered = false;
    std::string reply;
    std::string after;
  };

  void consume(std::string_view& input);
  bool takeLine(std::string_view& input);
  bool skipLine(std::string_view& input);
  void onTooLong(Verb verb);
  bool refusesForm(Verb verb, std::string_view line, bool bare_newline);
  void dispatch(Verb verb, std::string_view argument);
  void doHello(std::string_view argument, bool extended);
  void doMail(std::string_view argument);
  void doRcpt(std::string_view argument);
  void doData(std::string_view argument);
  void doBdat(std::string_view argument);
  void doStartTls(std::string_view argument);
  void doAuth(std::string_view argument);
  void doXClient(std::string_view argument);
  void doUnknown();
  std::optional<ServerReply> refusesMail() const;
  std::optional<ServerReply> refusesRcpt() const;
  std::optional<ServerReply> refusesChunk(uint64_t bytes) const;
  ServerReply missingRecipients() const;

  void takeContent(std::string_view& input);
  void takeChunk(std::string_view& input);
  void onChunkEnd();
  void onContentWhole();
  void checkContent();
  std::optional<ServerReply> refusesContent() const;
  void beginContent(ContentForm form);
  void endTransaction();

  bool blocked() const;
  std::string& out() { return owed_.empty() ? output_ : owed_.back().after; }
  static void append(std::string& out, const ServerReply& reply);
  void appendGreeting();
  void ask(Expect expect);
  void write(const ServerReply& reply);
  void refuse(const ServerReply& reply);
  void refuse(const Rejection& rejection);
  void refuse(Verb verb, std::string_view argument, const ServerReply& reply);
  void refuseData(const ServerReply& reply);
  void close(const ServerReply& reply);

  const ServerSettings& settings_;
  ServerEvents& events_;
  std::string output_;
  std::deque<Owed> owed_;  // oldest first
  uint64_t last_ticket_ = 0;
  std::string carry_;  // input not yet consumed, from carry_at_
  size_t carry_at_ = 0;
  size_t behind_ = 0;  // octets of input behind the command being handled
  uint64_t commands_ = 0;
  uint64_t skipped_bytes_ = 0;
  uint64_t chunk_left_ = 0;
  int errors_ = 0;
  int recipients_ = 0;
  int surplus_recipients_ = 0;
  int bare_newline_commands_ = 0;
  Mode mode_ = Mode::Command;
  Expect expect_ = Expect::Nothing;
  Verb skipped_verb_ = Verb::Unknown;
  bool greeted_ = false;
  bool hello_ = false;
  bool extended_ = false;
  bool tls_ = false;
  bool authenticated_ = false;
  bool xclient_ = false;
  bool bound_ = false;
  bool has_mail_ = false;
  bool smtputf8_ = false;
  bool recipients_refused_ = false;
  bool content_dropped_ = false;
  bool chunk_last_ = false;
  bool chunks_failed_ = false;
  bool data_refused_ = false;  // by the last command: what follows may be content
  bool consuming_ = false;
  bool stalled_ = false;         // by too much output
  bool waits_for_owed_ = false;  // a command that must not overtake the reply to a content
  bool draining_ = false;
  bool closing_ = false;
  std::optional<ServerReply> chunk_refusal_;  // owed once the chunk is stepped over; literal text
  std::optional<ContentReader> reader_;
};

}  // namespace sluice::smtp
