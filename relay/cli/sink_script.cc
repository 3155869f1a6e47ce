#include "relay/cli/sink_script.h"

#include <fmt/format.h>
#include <fnmatch.h>

#include <charconv>

namespace sluice::relay {
namespace {

constexpr std::array<std::string_view, kSinkStages> kStageNames = {
    "connect", "ehlo", "mail", "rcpt", "data", "content", "eod", "quit"};

template <class Number>
bool readNumber(std::string_view text, Number& number) {
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  return parsed.ec == std::errc() && parsed.ptr == text.data() + text.size();
}

// The next field of a rule; the last takes what is left, commas and all.
std::string_view takeField(std::string_view& rest, bool last) {
  const size_t comma = last ? std::string_view::npos : rest.find(',');
  const std::string_view field = rest.substr(0, comma);
  rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
  return field;
}

bool readAction(std::string_view text, SinkRule& rule) {
  if (text == "hang") {
    rule.action = SinkRule::Action::Hang;
  } else if (text == "close") {
    rule.action = SinkRule::Action::Close;
  } else if (text == "reset") {
    rule.action = SinkRule::Action::Reset;
  } else {
    return readNumber(text, rule.code) && rule.code >= 200 && rule.code <= 599;
  }
  return true;
}

// What a usual server would say.
std::string_view usualText(SinkStage stage, int code) {
  const bool permanent = code >= 500;
  if (code < 400) return stage == SinkStage::Rcpt ? "2.1.5 ok" : "2.0.0 ok";
  if (code == 421) return "4.3.2 closing, try again later";
  switch (stage) {
    case SinkStage::Connect:
    case SinkStage::Ehlo:
      return permanent ? "no mail from you" : "try again later";
    case SinkStage::Mail:
      return permanent ? "5.7.1 sender refused" : "4.7.1 try again later";
    case SinkStage::Rcpt:
      if (code == 452) return "4.5.3 too many recipients";
      if (code == 552) return "5.2.2 mailbox full";
      return permanent ? "5.1.1 no such user" : "4.2.1 try again later";
    case SinkStage::Data:
    case SinkStage::Content:
    case SinkStage::Eod:
      return permanent ? "5.6.0 content refused" : "4.3.0 try again later";
    case SinkStage::Quit:
      return "2.0.0 bye";
  }
  return "";
}

}  // namespace

std::string_view toString(SinkStage stage) { return kStageNames[static_cast<size_t>(stage)]; }

Result<SinkStage> parseSinkStage(std::string_view name) {
  for (size_t i = 0; i < kSinkStages; ++i) {
    if (kStageNames[i] == name) return static_cast<SinkStage>(i);
  }
  return fail(
      Errc::InvalidArgument,
      fmt::format("'{}' is no stage: connect, ehlo, mail, rcpt, data, content, eod, quit", name));
}

Result<SinkRule> parseSinkRule(std::string_view text) {
  SinkRule rule;
  std::string_view rest = text;
  const auto wrong = [&](std::string_view what) {
    return fail(
        Errc::InvalidArgument,
        fmt::format("rule '{}': {}; the form is GLOB,STAGE,ACTION[,PERCENT[,DELAY_MS[,TEXT]]]",
                    text, what));
  };
  rule.glob = takeField(rest, false);
  if (rule.glob.empty()) return wrong("the glob is empty");
  ASSIGN_OR_RETURN(rule.stage, parseSinkStage(takeField(rest, false)));
  if (!readAction(takeField(rest, false), rule)) {
    return wrong("the action is none of a code from 200 to 599, hang, close, reset");
  }
  if (rule.stage == SinkStage::Content && rule.action == SinkRule::Action::Reply) {
    return wrong("within the content there is no reply: only hang, close or reset");
  }
  if (!rest.empty()) {
    const std::string_view percent = takeField(rest, false);
    if (!readNumber(percent, rule.percent) || rule.percent < 0 || rule.percent > 100) {
      return wrong("the percentage is no number from 0 to 100");
    }
  }
  if (!rest.empty()) {
    uint32_t delay_ms = 0;
    if (!readNumber(takeField(rest, false), delay_ms)) {
      return wrong("the delay is no number of milliseconds");
    }
    rule.delay = std::chrono::milliseconds(delay_ms);
  }
  rule.text = takeField(rest, true);
  return rule;
}

SinkScript::SinkScript(std::vector<SinkRule> rules, uint64_t seed)
    : rules_(std::move(rules)), random_(seed * 0x9e3779b97f4a7c15u | 1) {
  for (const SinkRule& rule : rules_) by_stage_[static_cast<size_t>(rule.stage)].push_back(&rule);
}

double SinkScript::randomPercent() {
  random_ ^= random_ << 13;
  random_ ^= random_ >> 7;
  random_ ^= random_ << 17;
  return static_cast<double>(random_ >> 11) / static_cast<double>(uint64_t{1} << 53) * 100.0;
}

const SinkRule* SinkScript::pick(SinkStage stage, std::string_view subject) {
  const auto& rules = by_stage_[static_cast<size_t>(stage)];
  if (rules.empty()) return nullptr;
  const std::string whole(subject);
  const size_t at = whole.rfind('@');
  const char* domain = at == std::string::npos ? nullptr : whole.c_str() + at + 1;
  for (const SinkRule* rule : rules) {
    const bool fits = rule->glob == "*" ||
                      fnmatch(rule->glob.c_str(), whole.c_str(), FNM_CASEFOLD) == 0 ||
                      (domain && fnmatch(rule->glob.c_str(), domain, FNM_CASEFOLD) == 0);
    if (fits && (rule->percent >= 100 || randomPercent() < rule->percent)) return rule;
  }
  return nullptr;
}

std::string replyText(const SinkRule& rule) {
  std::string_view text = rule.text.empty() ? usualText(rule.stage, rule.code) : rule.text;
  std::string out;
  while (true) {
    const size_t end = text.find('\n');
    const bool last = end == std::string_view::npos;
    out += fmt::format("{}{}{}\r\n", rule.code, last ? ' ' : '-', text.substr(0, end));
    if (last) return out;
    text.remove_prefix(end + 1);
  }
}

}  // namespace sluice::relay
