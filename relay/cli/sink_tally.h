// What a sink has received: counts, which messages came twice, which were damaged on the way.
//
// A message is known by its X-Sluice-Load-Id, else by its Message-ID; with a recipient that makes
// an identity, of which only 64 bits are kept. One thread.
#pragma once

#include <array>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "relay/cli/latency_histogram.h"
#include "relay/cli/sink_script.h"

namespace sluice::relay {

struct SinkRecipient {
  std::string path;        // local-part@domain
  std::string parameters;  // "NOTIFY=SUCCESS ORCPT=..."
};

// One accepted message; views that live during the call.
struct SinkMessage {
  std::string_view client;
  std::string_view helo;
  std::string_view sender;
  std::string_view mail_parameters;
  std::span<const SinkRecipient> recipients;
  std::string_view content;  // without dot-stuffing and final dot
  bool chunked = false;      // came by BDAT
};

// Where the message stands in the count.
struct SinkIdentity {
  std::string_view id;      // views SinkMessage::content; "-" if it has neither field
  uint32_t duplicates = 0;  // recipients that had the message before
  bool damaged = false;     // the body is not what `sluice load` sent
};

// A set of 64-bit hashes, in one piece of memory.
class HashSet {
 public:
  // True if it was not there before.
  bool insert(uint64_t hash);
  size_t size() const { return size_; }

 private:
  void grow();
  std::vector<uint64_t> slots_;  // 0 is empty
  size_t size_ = 0;
};

class SinkTally {
 public:
  SinkIdentity onMessage(const SinkMessage& message, uint64_t now_ns);
  void onConnect();
  void onDisconnect() { --open_; }
  void onRefusal(SinkStage stage) { ++refused_[static_cast<size_t>(stage)]; }
  // Something a client must not do; the first few are kept word for word.
  void onViolation(std::string_view what);
  void onReport() { ++reports_; }  // of a failure, about a message of `sluice load`
  void onBytes(size_t bytes) { bytes_ += bytes; }

  uint64_t messages() const { return messages_; }
  uint64_t duplicates() const { return duplicates_; }
  uint64_t violations() const { return violations_; }
  nlohmann::json toJson() const;

 private:
  uint64_t messages_ = 0, recipients_ = 0, duplicates_ = 0, untagged_ = 0, damaged_ = 0,
           reports_ = 0;
  uint64_t connections_ = 0, open_ = 0, open_peak_ = 0, bytes_ = 0, violations_ = 0;
  uint64_t first_ns_ = 0, last_ns_ = 0;
  size_t most_recipients_ = 0;
  std::array<uint64_t, kSinkStages> refused_{};
  std::vector<std::string> violation_examples_;
  HashSet seen_;
  LatencyHistogram end_to_end_;
};

}  // namespace sluice::relay
