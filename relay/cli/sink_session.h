// One SMTP session of the sink: bytes in, bytes out, no I/O, no clock.
//
// A line parser of its own, so that a mistake of the relay's own parser cannot hide here. It
// accepts what RFC 5321 lets a client send, answers by script, and notes what a client must not do.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "relay/cli/sink_script.h"
#include "relay/cli/sink_tally.h"

namespace sluice::relay {

// EHLO keywords; each can be left out.
struct SinkExtensions {
  bool pipelining = true;
  bool eight_bit_mime = true;
  bool smtputf8 = true;
  bool dsn = true;
  bool size = true;
  bool chunking = true;
  bool enhanced_status_codes = true;
};

struct SinkSessionOptions {
  std::string hostname = "sink.test";
  SinkExtensions extensions;
  bool helo_only = false;  // EHLO is answered with 502
  uint64_t max_message_bytes = 100ull << 20;
  size_t max_recipients = 0;           // a transaction; 0 = no limit
  size_t messages_per_connection = 0;  // then 421; 0 = no limit
  std::chrono::milliseconds greeting_delay{};
  std::chrono::milliseconds eod_delay{};  // before each reply to a content
};

// Keeps an accepted message. False: it could not, and the client gets 452.
class SinkKeeper {
 public:
  virtual ~SinkKeeper() = default;
  virtual bool keep(const SinkMessage& message) = 0;
};

class SinkSession {
 public:
  enum class End : uint8_t { Open, Close, Reset };

  // All but `client` outlive the session.
  SinkSession(const SinkSessionOptions& options, SinkScript& script, SinkTally& tally,
              SinkKeeper& keeper, std::string client);

  void onConnect();
  void onBytes(std::string_view bytes);
  // The delay that waiting() told is over.
  void onResume();

  // What is to be sent now; the caller clears it.
  std::string& output() { return output_; }
  // Set while a reply is held back; its bytes and later commands wait.
  std::optional<std::chrono::milliseconds> waiting() const { return waiting_; }
  bool hung() const { return hung_; }
  size_t buffered() const { return input_.size(); }  // bytes of the client that wait, too
  End end() const { return end_; }

 private:
  enum class State : uint8_t { Command, Data, Chunk };
  using Delay = std::chrono::milliseconds;

  bool stopped() const { return waiting_ || hung_ || end_ != End::Open; }
  void run();
  bool takeLine();
  bool takeData();
  bool takeChunk();
  void onLine(std::string_view line);
  void onHello(std::string_view argument, bool extended);
  void onMail(std::string_view argument);
  void onRcpt(std::string_view argument);
  void onDataCommand();
  void onBdat(std::string_view argument);
  void onContent();
  void judgeContent();
  void resetTransaction();
  void reply(std::string_view text, Delay delay = {});
  void refuse(SinkStage stage, std::string_view text);
  // Lets the script act. True if it did, and there is no usual answer. A rule that does not refuse
  // leaves all as usual and becomes flavour_: its delay, and its text if it has one.
  bool scripted(SinkStage stage, std::string_view subject);
  bool scriptedContent();
  bool act(const SinkRule& rule);
  void agree(std::string_view usual);
  const SinkRule* ruleOfRecipients(SinkStage stage);
  bool checkMailParameters(std::string_view parameters);
  void checkGroupEnd(std::string_view verb);
  bool chunkingOffered() const { return extended_ && options_.extensions.chunking; }

  const SinkSessionOptions& options_;
  SinkScript& script_;
  SinkTally& tally_;
  SinkKeeper& keeper_;
  std::string client_;

  std::string input_;   // not taken yet
  size_t taken_ = 0;    // of input_
  size_t scanned_ = 0;  // of the content in input_, without finding its end
  std::string output_;
  std::string held_back_;  // the reply that waits
  std::optional<Delay> waiting_;
  const SinkRule* flavour_ = nullptr;  // of the answer that comes next
  bool hung_ = false;
  End end_ = End::Open;

  State state_ = State::Command;
  std::string helo_;
  bool extended_ = false;  // EHLO was accepted
  bool mail_given_ = false;
  bool eight_bit_declared_ = false;
  std::string sender_;
  std::string mail_parameters_;
  std::vector<SinkRecipient> recipients_;  // the first recipient_count_ are this transaction's
  size_t recipient_count_ = 0;
  std::string content_;
  uint64_t chunk_left_ = 0;
  bool chunk_last_ = false;
  bool chunk_refused_ = false;
  bool chunked_ = false;
  bool too_large_ = false;
  bool content_scripted_ = false;
  size_t messages_ = 0;
};

}  // namespace sluice::relay
