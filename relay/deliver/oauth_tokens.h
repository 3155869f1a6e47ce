// Access tokens for connectors that authenticate by OAuth 2: asked for, kept, renewed in time.
//
// One for all shards; it lives on the HTTPS client's loop and answers on the asker's. Client
// credentials (RFC 6749 section 4.4), or a refresh token (section 6) where one is configured. One
// request at a time for the same credentials; an endpoint that fails is left alone for a while, and
// until then its reason is the answer. Tokens and secrets are in no log.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "net/http/https_client.h"
#include "relay/config/config.h"
#include "relay/deliver/oauth_answer.h"
#include "relay/log/event_log.h"

namespace sluice::relay {

// How a connector comes by its tokens. Immutable.
struct OAuthSource {
  std::string connector;  // for people
  net::HttpsUrl url;
  std::string form;      // the body of a request, secrets and all
  std::string identity;  // equal for equal credentials; not secret
  std::shared_ptr<net::TlsClientContext> trust;
  Duration backoff{};  // of an endpoint that fails, doubling

  // Null if the connector has none. Reads oauth_ca_file. Errors: InvalidArgument.
  static Result<std::shared_ptr<const OAuthSource>> of(const SendConfig& connector);
};

// By connector name.
using OAuthSources = std::map<std::string, std::shared_ptr<const OAuthSource>>;

class OAuthTokens {
 public:
  static constexpr size_t kMaxWaiting = 10'000;
  static constexpr size_t kMaxKept = 1000;
  static constexpr std::chrono::seconds kRequestTimeout{30};
  static constexpr std::chrono::minutes kLongestBackoff{5};
  // A token is renewed when so much of its life, or a quarter of it if that is less, is left.
  static constexpr std::chrono::minutes kRenewBefore{5};

  struct Answer {
    std::string token;
    bool kept = false;  // from an earlier request: if it is refused, a new one may be better
  };
  using Done = UniqueFunction<void(Result<Answer>)>;

  OAuthTokens(net::HttpsClient& https, EventLog& log) : https_(https), log_(log) {}

  // Any thread. `done` is called once on `loop`, which outlives the HTTPS client's last call.
  // Errors: AuthFailed, with what to change; Busy.
  void get(std::shared_ptr<const OAuthSource> source, net::Loop& loop, Done done);
  // Any thread: the token was not taken, so it is not given again.
  void refused(std::shared_ptr<const OAuthSource> source, std::string token);

 private:
  struct Waiting {
    net::Loop& loop;
    Done done;
  };
  // Of one set of credentials.
  struct Kept {
    std::string token;
    SteadyTime ends_at{};
    SteadyTime renew_at{};
    bool asking = false;
    std::vector<Waiting> waiting;
    unsigned failures = 0;  // in a row
    SteadyTime retry_at{};
    std::string why;  // the last request failed
  };

  void onGet(const std::shared_ptr<const OAuthSource>& source, Waiting who);
  void ask(const std::shared_ptr<const OAuthSource>& source, Kept& kept);
  void onAnswer(const std::shared_ptr<const OAuthSource>& source, Result<net::HttpAnswer> answer);
  void onToken(const OAuthSource& source, Kept& kept, OAuthToken token);
  void onFailure(const OAuthSource& source, Kept& kept, const Error& why);
  Kept& keptOf(const OAuthSource& source);
  static void tell(Waiting who, Result<Answer> answer);
  SteadyTime now() const { return https_.loop().now(); }

  net::HttpsClient& https_;
  EventLog& log_;
  std::map<std::string, Kept> kept_;  // by identity
};

}  // namespace sluice::relay
