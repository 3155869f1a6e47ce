// One SMTP session of the load generator: replies in, commands and content out. No I/O, no clock.
//
// After EHLO, and after each message, it is Ready: its owner begins the next message or quits. With
// PIPELINING a transaction is two writes (three without waiting for 354 would be the limit of RFC
// 2920); with CHUNKING it is one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "relay/cli/load_message.h"

namespace sluice::relay {

struct LoadSessionOptions {
  std::string helo = "load.test";
  bool pipelining = true;  // if offered
  bool chunking = false;   // if offered
};

class LoadSession {
 public:
  enum class State : uint8_t { Greeting, Ehlo, Ready, Envelope, Content, Quit, Over };
  // What became of a message whose session goes on.
  struct Outcome {
    int code = 0;  // of the reply that decided: to the content, or that kept it from being sent
    bool accepted() const { return code / 100 == 2; }
    bool temporary() const { return code / 100 == 4; }
  };

  // `options` and `maker` outlive the session.
  LoadSession(const LoadSessionOptions& options, const LoadMaker& maker);

  State state() const { return state_; }
  // Only when Ready.
  void begin(uint64_t seq, uint64_t now_ns);
  void quit();
  // Takes replies. When it leaves Envelope or Content for Ready or Over, outcome() is set.
  void onBytes(std::string_view bytes, uint64_t now_ns);

  uint64_t seq() const { return seq_; }
  bool leaving() const { return leaving_; }  // QUIT was given
  bool busy() const { return state_ == State::Envelope || state_ == State::Content; }
  const Outcome& outcome() const { return outcome_; }
  // Reply codes of the recipients, 0 for one that got none.
  const std::vector<int>& recipientCodes() const { return recipient_codes_; }

  // What is to be sent: the first piece, then the second (the shared body), both from `sent` on.
  std::string_view firstPiece() const { return std::string_view(output_).substr(output_sent_); }
  std::string_view secondPiece() const { return body_left_; }
  // That many bytes of the two have left.
  void onSent(size_t bytes, uint64_t now_ns);
  // The whole content has left, so that the server may have accepted it. 0 before.
  uint64_t contentSentNs() const { return content_sent_ns_; }

 private:
  void onReply(int code, uint64_t now_ns);
  void onEnvelopeReply(int code, uint64_t now_ns);
  void onDataReply(int code, uint64_t now_ns);
  void sendNextCommand(uint64_t now_ns);
  void sendContent(uint64_t now_ns);
  bool anyAccepted() const;
  void finish(int code);

  const LoadSessionOptions& options_;
  const LoadMaker& maker_;
  State state_ = State::Greeting;
  std::string input_;
  std::string output_;
  size_t output_sent_ = 0;
  std::string_view body_left_;
  bool server_pipelines_ = false;
  bool server_chunks_ = false;

  uint64_t seq_ = 0;
  bool pipelined_ = false;  // this transaction
  bool chunked_ = false;
  size_t ignored_replies_ = 0;  // to RSET, in front of the transaction's
  size_t replies_ = 0;          // of the transaction: MAIL, RCPT..., DATA
  int refusal_ = 0;             // the code that keeps the message from being sent
  bool content_under_way_ = false;
  bool lone_dot_ = false;  // DATA was taken although no recipient was
  bool needs_reset_ = false;
  uint64_t content_sent_ns_ = 0;
  bool leaving_ = false;
  std::vector<int> recipient_codes_;
  Outcome outcome_;
};

}  // namespace sluice::relay
