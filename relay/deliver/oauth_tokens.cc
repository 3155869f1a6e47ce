#include "relay/deliver/oauth_tokens.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "net/http/url.h"
#include "net/tls/crypto.h"
#include "relay/config/tls_files.h"

namespace sluice::relay {
namespace {

std::string formOf(const SendConfig& connector) {
  std::string form;
  const auto add = [&form](std::string_view name, const std::string& value) {
    if (value.empty()) return;
    form += (form.empty() ? "" : "&") + std::string(name) + "=" + net::percentEncode(value);
  };
  const bool refresh = !connector.oauth_refresh_token.empty();
  add("grant_type", refresh ? "refresh_token" : "client_credentials");
  add("client_id", connector.oauth_client_id);
  add("client_secret", connector.oauth_client_secret);
  add("refresh_token", connector.oauth_refresh_token);
  add("scope", connector.oauth_scope);
  return form;
}

}  // namespace

Result<std::shared_ptr<const OAuthSource>> OAuthSource::of(const SendConfig& connector) {
  if (connector.oauth_token_url.empty()) return std::shared_ptr<const OAuthSource>();
  auto source = std::make_shared<OAuthSource>();
  source->connector = connector.name;
  ASSIGN_OR_RETURN(source->url, net::HttpsUrl::parse(connector.oauth_token_url));
  source->form = formOf(connector);
  source->identity =
      net::hexEncode(net::asView(net::sha256(source->url.toString() + " " + source->form)));
  auto tls = loadTrust(connector.oauth_ca_file, "oauth_ca_file");
  if (!tls.context) return fail(Errc::InvalidArgument, tls.key + ": " + tls.why);
  source->trust = std::move(tls.context);
  source->backoff =
      std::max<Duration>(connector.limits.host_backoff, std::chrono::milliseconds(10));
  return std::shared_ptr<const OAuthSource>(std::move(source));
}

void OAuthTokens::get(std::shared_ptr<const OAuthSource> source, net::Loop& loop, Done done) {
  https_.loop().post([this, source = std::move(source), &loop, done = std::move(done)]() mutable {
    onGet(source, {loop, std::move(done)});
  });
}

void OAuthTokens::refused(std::shared_ptr<const OAuthSource> source, std::string token) {
  https_.loop().post([this, source = std::move(source), token = std::move(token)] {
    Kept& kept = keptOf(*source);
    if (kept.token == token) net::wipe(kept.token);
  });
}

void OAuthTokens::tell(Waiting who, Result<Answer> answer) {
  who.loop.post([done = std::move(who.done), answer = std::move(answer)]() mutable {
    done(std::move(answer));
  });
}

// Credentials that a reload has replaced are of no use: nobody asks for them again.
OAuthTokens::Kept& OAuthTokens::keptOf(const OAuthSource& source) {
  if (kept_.size() >= kMaxKept && !kept_.contains(source.identity)) {
    std::erase_if(kept_, [](const auto& one) { return !one.second.asking; });
  }
  return kept_[source.identity];
}

void OAuthTokens::onGet(const std::shared_ptr<const OAuthSource>& source, Waiting who) {
  Kept& kept = keptOf(*source);
  const bool may_ask = !kept.asking && now() >= kept.retry_at;
  if (!kept.token.empty() && now() < kept.ends_at) {
    tell(std::move(who), Answer{kept.token, true});
    if (may_ask && now() >= kept.renew_at) ask(source, kept);
    return;
  }
  if (!kept.asking && !may_ask) return tell(std::move(who), fail(Errc::AuthFailed, kept.why));
  if (kept.waiting.size() >= kMaxWaiting) {
    return tell(std::move(who), fail(Errc::Busy, "too many connections wait for a token"));
  }
  kept.waiting.push_back(std::move(who));
  if (may_ask) ask(source, kept);
}

void OAuthTokens::ask(const std::shared_ptr<const OAuthSource>& source, Kept& kept) {
  kept.asking = true;
  net::HttpsRequest request;
  request.url = source->url;
  request.method = "POST";
  request.headers = {{"Content-Type", "application/x-www-form-urlencoded"},
                     {"Accept", "application/json"}};
  request.body = source->form;
  request.trust = source->trust;
  request.time_limit = kRequestTimeout;
  request.host_is_configured = true;
  https_.fetch(std::move(request), [this, source](Result<net::HttpAnswer> answer) {
    onAnswer(source, std::move(answer));
  });
}

void OAuthTokens::onAnswer(const std::shared_ptr<const OAuthSource>& source,
                           Result<net::HttpAnswer> answer) {
  Kept& kept = keptOf(*source);
  kept.asking = false;
  if (!answer) {
    Error why = answer.error();
    why.detail += why.code == Errc::TlsFailed ? " (see oauth_ca_file)" : " (see oauth_token_url)";
    return onFailure(*source, kept, why);
  }
  auto token = readTokenAnswer(*answer);
  net::wipe(answer->body);
  token ? onToken(*source, kept, std::move(*token)) : onFailure(*source, kept, token.error());
}

void OAuthTokens::onToken(const OAuthSource& source, Kept& kept, OAuthToken token) {
  const auto life = std::chrono::duration_cast<SteadyTime::duration>(token.lifetime);
  kept.token = std::move(token.text);
  kept.ends_at = now() + life;
  kept.renew_at = kept.ends_at - std::min<SteadyTime::duration>(kRenewBefore, life / 4);
  kept.failures = 0;
  kept.retry_at = {};
  kept.why.clear();
  log_.log({LogLevel::Info,
            "oauth_token",
            {{"connector", source.connector},
             {"url", source.url.toString()},
             {"expires_in_s", static_cast<int64_t>(token.lifetime.count())}}});
  for (Waiting& who : std::exchange(kept.waiting, {})) {
    tell(std::move(who), Answer{kept.token, false});
  }
}

void OAuthTokens::onFailure(const OAuthSource& source, Kept& kept, const Error& why) {
  const Duration rest = source.backoff * (1U << std::min(kept.failures, 16U));
  ++kept.failures;
  kept.retry_at = now() + std::chrono::duration_cast<SteadyTime::duration>(
                              std::min<Duration>(rest, kLongestBackoff));
  kept.why = fmt::format("no token for [[send]] \"{}\" from {}: {}", source.connector,
                         source.url.toString(), why.detail);
  if (why.code != Errc::Cancelled) {
    log_.log({LogLevel::Warn,
              "oauth_failed",
              {{"connector", source.connector},
               {"url", source.url.toString()},
               {"reason", why.detail}}});
  }
  for (Waiting& who : std::exchange(kept.waiting, {})) {
    tell(std::move(who), fail(Errc::AuthFailed, kept.why));
  }
}

}  // namespace sluice::relay
