#include "relay/deliver/oauth_answer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "relay/deliver/configuration_fault.h"

namespace sluice::relay {
namespace {

using nlohmann::json;

constexpr size_t kMaxTokenBytes = 16 * 1024;
constexpr size_t kMaxSaidBytes = 200;

// RFC 6749 section 5.2.
constexpr std::array<std::pair<std::string_view, std::string_view>, 6> kAdvice{
    {{"invalid_client", "Check oauth_client_id and oauth_client_secret_file."},
     {"invalid_grant", "The refresh token has ended: put a new one into oauth_refresh_token_file."},
     {"invalid_scope", "Check oauth_scope."},
     {"unauthorized_client", "Let the provider allow this client the grant that it asks for."},
     {"unsupported_grant_type", "Check oauth_token_url: it gives tokens to people only."},
     {"invalid_request", "Check oauth_token_url and oauth_scope."}}};

std::string plain(std::string_view said) {
  std::string out;
  for (const char c : said.substr(0, kMaxSaidBytes)) out += c >= 0x20 && c < 0x7f ? c : ' ';
  if (said.size() > kMaxSaidBytes) out += "...";
  return out;
}

// A member that is a string; empty if it is none.
std::string textOf(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// A number, or, as some endpoints have it, one in a string.
std::chrono::seconds lifetimeOf(const json& object) {
  const auto found = object.find("expires_in");
  if (found == object.end()) return kUntoldTokenLifetime;
  double seconds = 0;
  if (found->is_number()) {
    seconds = found->get<double>();
  } else if (found->is_string()) {
    const std::string text = found->get<std::string>();
    int64_t whole = 0;
    std::from_chars(text.data(), text.data() + text.size(), whole);
    seconds = static_cast<double>(whole);
  }
  if (!(seconds > 0)) return kUntoldTokenLifetime;
  return std::chrono::seconds(
      static_cast<int64_t>(std::min(seconds, static_cast<double>(kMaxTokenLifetime.count()))));
}

bool isBearer(std::string type) {
  std::transform(type.begin(), type.end(), type.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return type == "bearer";
}

Error refusal(const net::HttpAnswer& answer, const json& object) {
  const std::string error = textOf(object, "error");
  const std::string description = textOf(object, "error_description");
  std::string said = fmt::format("it answers {}", answer.status);
  if (!error.empty()) said += " " + plain(error);
  if (!description.empty()) said += ": " + plain(description);
  std::string_view advice;
  for (const auto& [code, words] : kAdvice) {
    if (code == error) advice = words;
  }
  if (advice.empty() && answer.status < 500 && answer.status != 429) {
    advice = "Check oauth_token_url.";
  }
  if (!advice.empty()) said += fmt::format(" ({} {})", kConfigurationFault, advice);
  return {Errc::AuthFailed, std::move(said)};
}

}  // namespace

Result<OAuthToken> readTokenAnswer(const net::HttpAnswer& answer) {
  const json object = json::parse(answer.body, nullptr, false);
  if (answer.status != 200) {
    return tl::unexpected(refusal(answer, object.is_object() ? object : json::object()));
  }
  if (!object.is_object()) return fail(Errc::Malformed, "its answer is no JSON object");
  OAuthToken token{textOf(object, "access_token"), lifetimeOf(object)};
  const bool printable = std::all_of(token.text.begin(), token.text.end(),
                                     [](char c) { return c > 0x20 && c < 0x7f; });
  if (token.text.empty() || token.text.size() > kMaxTokenBytes || !printable) {
    return fail(Errc::Malformed, "its answer holds no access_token that can be used");
  }
  if (!isBearer(textOf(object, "token_type"))) {
    return fail(Errc::Malformed, "its token is no bearer token");
  }
  return token;
}

}  // namespace sluice::relay
