#include "relay/cli/sink_tally.h"

#include <algorithm>

#include "relay/cli/load_identity.h"

namespace sluice::relay {
namespace {

constexpr size_t kMaxExamples = 10;
constexpr std::string_view kHeaderEnd = "\r\n\r\n";

// The header section with its last line end, and where the body begins.
std::string_view headerOf(std::string_view content, size_t& body_at) {
  const size_t end = content.find(kHeaderEnd);
  body_at = end == std::string_view::npos ? content.size() : end + kHeaderEnd.size();
  return content.substr(0, end == std::string_view::npos ? content.size() : end + 2);
}

}  // namespace

bool HashSet::insert(uint64_t hash) {
  if (hash == 0) hash = 1;
  if (size_ * 2 >= slots_.size()) grow();
  const size_t mask = slots_.size() - 1;
  for (size_t at = hash & mask;; at = (at + 1) & mask) {
    if (slots_[at] == hash) return false;
    if (slots_[at] == 0) {
      slots_[at] = hash;
      ++size_;
      return true;
    }
  }
}

void HashSet::grow() {
  std::vector<uint64_t> old = std::move(slots_);
  slots_.assign(std::max<size_t>(1024, old.size() * 2), 0);
  size_ = 0;
  for (const uint64_t hash : old) {
    if (hash != 0) insert(hash);
  }
}

SinkIdentity SinkTally::onMessage(const SinkMessage& message, uint64_t now_ns) {
  ++messages_;
  recipients_ += message.recipients.size();
  most_recipients_ = std::max(most_recipients_, message.recipients.size());
  if (first_ns_ == 0) first_ns_ = now_ns;
  last_ns_ = now_ns;

  size_t body_at = 0;
  const std::string_view header = headerOf(message.content, body_at);
  SinkIdentity identity{lineField(header, kLoadIdField)};
  if (identity.id.empty()) {
    ++untagged_;
    identity.id = lineField(header, "Message-ID");
    if (identity.id.empty()) {
      identity.id = "-";
      return identity;
    }
  } else if (const auto proof = parseProof(lineField(header, kLoadProofField))) {
    const std::string_view body = message.content.substr(body_at);
    identity.damaged = body.size() != proof->body_bytes || quickHash(body) != proof->body_hash;
    if (now_ns >= proof->sent_ns) end_to_end_.add(now_ns - proof->sent_ns);
  } else {
    identity.damaged = true;
  }
  damaged_ += identity.damaged ? 1 : 0;
  const uint64_t tag = quickHash(identity.id);
  for (const SinkRecipient& recipient : message.recipients) {
    if (!seen_.insert(quickHash(recipient.path, tag))) ++identity.duplicates;
  }
  duplicates_ += identity.duplicates;
  return identity;
}

void SinkTally::onConnect() {
  ++connections_;
  ++open_;
  open_peak_ = std::max(open_peak_, open_);
}

void SinkTally::onViolation(std::string_view what) {
  ++violations_;
  if (violation_examples_.size() < kMaxExamples) violation_examples_.emplace_back(what);
}

nlohmann::json SinkTally::toJson() const {
  nlohmann::json refused = nlohmann::json::object();
  for (size_t i = 0; i < kSinkStages; ++i) {
    if (refused_[i] > 0) refused[std::string(toString(static_cast<SinkStage>(i)))] = refused_[i];
  }
  const double seconds = static_cast<double>(last_ns_ - first_ns_) / 1e9;
  return {{"messages", messages_},
          {"recipients", recipients_},
          {"distinct", seen_.size()},
          {"duplicates", duplicates_},
          {"untagged", untagged_},
          {"damaged", damaged_},
          {"reports", reports_},
          {"violations", violations_},
          {"violation_examples", violation_examples_},
          {"refused", refused},
          {"connections", connections_},
          {"open", open_},
          {"open_peak", open_peak_},
          {"most_recipients", most_recipients_},
          {"bytes", bytes_},
          {"seconds", seconds},
          {"messages_per_s", seconds > 0 ? static_cast<double>(messages_) / seconds : 0.0},
          {"end_to_end", end_to_end_.toJson()}};
}

}  // namespace sluice::relay
