#include "relay/deliver/mta_sts_policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "net/dns/dns_message.h"

namespace sluice::relay {
namespace {

constexpr size_t kMaxIdBytes = 32;
constexpr size_t kMaxAgeDigits = 10;
constexpr std::string_view kVersion = "STSv1";

bool isBlank(char c) { return c == ' ' || c == '\t'; }

bool isAlphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && isBlank(text.front())) text.remove_prefix(1);
  while (!text.empty() && isBlank(text.back())) text.remove_suffix(1);
  return text;
}

std::string lowerCase(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

// Section 3.1, 3.2: names of fields, those that we do not know included.
bool isFieldName(std::string_view name) {
  return !name.empty() && name.size() <= 32 && isAlphanumeric(name.front()) &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return isAlphanumeric(c) || c == '_' || c == '-' || c == '.'; });
}

bool isRecord(std::string_view text) {  // "v=STSv1", then a delimiter
  constexpr std::string_view kStart = "v=STSv1";
  if (!text.starts_with(kStart)) return false;
  return trimmed(text.substr(kStart.size())).starts_with(';');
}

std::optional<std::string> idOf(std::string_view record) {
  std::optional<std::string> id;
  record.remove_prefix(record.find(';') + 1);
  while (!trimmed(record).empty()) {
    const size_t end = std::min(record.find(';'), record.size());
    const std::string_view field = trimmed(record.substr(0, end));
    record.remove_prefix(std::min(end + 1, record.size()));
    const size_t equals = field.find('=');
    if (equals == std::string_view::npos || !isFieldName(field.substr(0, equals))) {
      return std::nullopt;
    }
    const std::string_view value = field.substr(equals + 1);
    if (field.substr(0, equals) != "id" || id) continue;
    if (value.empty() || value.size() > kMaxIdBytes ||
        !std::all_of(value.begin(), value.end(), isAlphanumeric)) {
      return std::nullopt;
    }
    id = std::string(value);
  }
  return id;
}

tl::unexpected<Error> broken(const std::string& why) { return fail(Errc::Malformed, why); }

// One policy, a line at a time.
class PolicyReader {
 public:
  Result<void> take(std::string_view line);
  Result<MtaStsPolicy> finish();

 private:
  Result<void> onMode(std::string_view value);
  Result<void> onMx(std::string_view value);
  Result<void> onMaxAge(std::string_view value);
  void keep(std::string_view name, std::string_view value) {
    policy_.lines.push_back(fmt::format("{}: {}", name, value));
  }

  MtaStsPolicy policy_;
  bool version_ = false;
  bool mode_ = false;
  bool max_age_ = false;
};

Result<void> PolicyReader::take(std::string_view line) {
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos || !isFieldName(line.substr(0, colon))) {
    return broken("a line is no \"key: value\"");
  }
  const std::string_view name = line.substr(0, colon);
  const std::string_view value = trimmed(line.substr(colon + 1));
  // Of what may stand there once the first one counts (section 3.2).
  if (name == "version" && !version_) {
    if (value != kVersion) return broken("its version is not STSv1");
    version_ = true;
    keep(name, value);
    return {};
  }
  if (name == "mode" && !mode_) return onMode(value);
  if (name == "mx") return onMx(value);
  if (name == "max_age" && !max_age_) return onMaxAge(value);
  return {};
}

Result<void> PolicyReader::onMode(std::string_view value) {
  using Mode = DomainTlsPolicy::Mode;
  if (value == "enforce") {
    policy_.mode = Mode::Enforce;
  } else if (value == "testing") {
    policy_.mode = Mode::Testing;
  } else if (value != "none") {
    return broken("its mode is none of enforce, testing and none");
  }
  mode_ = true;
  keep("mode", value);
  return {};
}

Result<void> PolicyReader::onMx(std::string_view value) {
  std::string pattern = lowerCase(value);
  if (!net::isHostName(pattern.starts_with("*.") ? std::string_view(pattern).substr(2) : pattern)) {
    return broken("an mx is no host name");
  }
  if (policy_.mx.size() >= kMaxMxPatterns) return broken("it has too many mx");
  keep("mx", pattern);
  policy_.mx.push_back(std::move(pattern));
  return {};
}

Result<void> PolicyReader::onMaxAge(std::string_view value) {
  uint64_t seconds = 0;
  const char* const end = value.data() + value.size();
  const auto [stop, error] = std::from_chars(value.data(), end, seconds);
  if (value.empty() || value.size() > kMaxAgeDigits || error != std::errc() || stop != end) {
    return broken("its max_age is no number of seconds");
  }
  policy_.max_age = std::min(kMaxPolicyAge, std::chrono::seconds(seconds));
  max_age_ = true;
  keep("max_age", value);
  return {};
}

Result<MtaStsPolicy> PolicyReader::finish() {
  if (!version_) return broken("it has no version");
  if (!mode_) return broken("it has no mode");
  if (!max_age_) return broken("it has no max_age");
  if (policy_.mx.empty() && policy_.mode != DomainTlsPolicy::Mode::None) {
    return broken("it has no mx");
  }
  return std::move(policy_);
}

}  // namespace

std::optional<std::string> mtaStsId(const std::vector<std::string>& texts) {
  if (std::count_if(texts.begin(), texts.end(), isRecord) != 1) return std::nullopt;
  return idOf(*std::find_if(texts.begin(), texts.end(), isRecord));
}

Result<MtaStsPolicy> parseMtaStsPolicy(std::string_view text) {
  if (text.size() > kMaxPolicyBytes) return broken("it is too large");
  PolicyReader reader;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    const bool controls = std::any_of(line.begin(), line.end(), [](char c) {
      return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
    });
    if (controls) return broken("it holds control characters");
    if (trimmed(line).empty()) continue;
    RETURN_IF_ERROR(reader.take(line));
  }
  return reader.finish();
}

Result<MtaStsPolicy> readMtaStsAnswer(const net::HttpAnswer& answer) {
  if (answer.status != 200) return broken(fmt::format("the policy host answers {}", answer.status));
  const std::string_view type = answer.header("content-type");
  if (lowerCase(trimmed(type.substr(0, type.find(';')))) != "text/plain") {
    return broken("the policy is not of type text/plain");
  }
  if (answer.until_close) return broken("the answer does not say where the policy ends");
  auto policy = parseMtaStsPolicy(answer.body);
  if (!policy) return broken("the policy is broken: " + policy.error().detail);
  return policy;
}

}  // namespace sluice::relay
