// What a scripted sink does instead of accepting: answers, hangs, closes, resets, and delays.
//
// A rule is GLOB,STAGE,ACTION[,PERCENT[,DELAY[,TEXT]]]: of what the stage is about (a recipient,
// its domain, ...) and fits GLOB, PERCENT in a hundred get ACTION after DELAY. ACTION is a reply
// code, `hang`, `close` or `reset`. The first rule that fits acts. Pure but for its random numbers.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "net/base/result.h"

namespace sluice::relay {

// In the order of a session. GLOB is matched with: the client's address (Connect), the EHLO name
// (Ehlo), the reverse-path (Mail), the forward-path (Rcpt); any accepted recipient (Data, Content,
// Eod); the EHLO name (Quit). Of paths, the whole or the domain may fit.
enum class SinkStage : uint8_t { Connect, Ehlo, Mail, Rcpt, Data, Content, Eod, Quit };
inline constexpr size_t kSinkStages = 8;

// Errors: InvalidArgument.
Result<SinkStage> parseSinkStage(std::string_view name);
std::string_view toString(SinkStage stage);

struct SinkRule {
  enum class Action : uint8_t { Reply, Hang, Close, Reset };
  std::string glob;
  SinkStage stage = SinkStage::Rcpt;
  Action action = Action::Reply;
  int code = 0;
  double percent = 100;
  std::chrono::milliseconds delay{};
  std::string text;  // of the reply, lines apart by '\n'; empty: a usual one for code and stage

  bool refuses() const { return action != Action::Reply || code >= 400; }
};

// Errors: InvalidArgument, with what is wrong in words.
Result<SinkRule> parseSinkRule(std::string_view text);

class SinkScript {
 public:
  explicit SinkScript(std::vector<SinkRule> rules, uint64_t seed = 1);

  bool empty(SinkStage stage) const { return by_stage_[static_cast<size_t>(stage)].empty(); }
  // The rule that acts on `subject` now; null if none does. Lives as long as the script.
  const SinkRule* pick(SinkStage stage, std::string_view subject);

 private:
  double randomPercent();
  std::vector<SinkRule> rules_;
  std::array<std::vector<const SinkRule*>, kSinkStages> by_stage_;
  uint64_t random_;
};

// The whole reply of a rule, with line ends.
std::string replyText(const SinkRule& rule);

}  // namespace sluice::relay
